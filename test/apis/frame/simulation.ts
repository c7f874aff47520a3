/** What one API adds to the frame: a new one is a folder with a `SimulationFactory` and a line in the catalog. */
import { type FaultAction } from '../../support/simulated/faults';
import { type Reply, type Request } from '../../support/simulated/exchange';
import { type LedgerEntry } from '../../support/simulated/ledger';
import { type Clock } from './clock';
import { type AppLogin } from '../github/app';
import { type Limits } from './limits';
import { type OAuthClient } from './oauth';

export type Row = Readonly<Record<string, unknown>>;

export interface Simulation {
  /** What a client authenticates with. */
  readonly token: string;
  /** Whose it is, where the API has Basic authentication. */
  readonly user?: string;
  /** The header that they make, where that isn't `Bearer token`. */
  readonly authorization?: string;
  /** Where it has OAuth. */
  readonly oauth?: OAuthClient;
  /** Where it has Apps. */
  readonly app?: AppLogin;
  readonly limits: Limits;
  /** What is unconfirmed of the API, and what tests turn on; read at each call. */
  readonly switches: object;
  /** Names as users of the product write them, without the provider. */
  collections(): string[];
  /** All there is, with what only the bin holds, as the API's own answers show a record. */
  records(collection: string): Row[];
  /** Acts as a user of the API: creates, or updates those with the id of one that exists. All happen at `at` (epoch ms). */
  write(collection: string, rows: readonly Row[], at: number): Row[];
  /** Deletes as a user does. `purge`: leaving nothing, where the API knows that. */
  remove(collection: string, ids: readonly string[], at: number, options: { purge: boolean }): void;
  /** Other things that users do: archive, restore, merge … each as `POST /_api/records/:collection/:action`. */
  readonly actions: Readonly<Record<string, Action>>;
  /** Adds so many computed records, old ones, quickly. */
  generate(collection: string, count: number): void;
  /** The answer to a call, whatever it is; throws a `Refusal` to say no. Sets `entry.records`. */
  answer(request: Request, entry: LedgerEntry): Reply;
  /** How the API words a status that a fault asks for; `errorCode` tells apart what comes under one status. */
  refusal(action: FaultAction, status: number): Reply;
}

export type Action = (collection: string, body: unknown, at: number) => unknown;

export interface Surroundings {
  clock: Clock;
  /** `http://127.0.0.1:port`, for the links in answers; known when calls come. */
  url(): string;
}

export type SimulationFactory = (surroundings: Surroundings) => Simulation;

/** An answer that is a refusal, in the API's own words. */
export class Refusal extends Error {
  constructor(readonly reply: Reply) {
    super(`${reply.status} ${JSON.stringify(reply.body)}`);
  }
}

/** What a test asks of the simulation that it doesn't have. */
export class ControlError extends Error {}
