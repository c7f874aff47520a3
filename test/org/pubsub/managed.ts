/** Managed event subscriptions: positions that the org keeps for its clients. */
import { status } from '@grpc/grpc-js';
import { recordId } from '../store/ids';
import { GrpcError, invalid } from './errors';
import { type EventLog } from './log';
import { ErrorCode, type CommitReplayRequest, type EventError } from './messages';

export type Preset = 'LATEST' | 'EARLIEST';

/** What Tooling's ManagedEventSubscription has. */
export interface ManagedDeclaration {
  developerName: string;
  topicName: string;
  label?: string;
  /** Where it starts without a committed position, and where with one that is gone. */
  defaultReplay?: Preset;
  errorRecoveryReplay?: Preset;
  state?: 'RUN' | 'STOP';
}

export interface Managed extends Required<ManagedDeclaration> {
  readonly id: string;
  committed: { position: number; replayId: Buffer } | undefined;
  /** A client is on it: no other one may. */
  active: boolean;
}

const KEY_PREFIX = '18x';

export class ManagedSubscriptions {
  readonly #all: Managed[] = [];

  /** Makes one, or changes the one with this developer name. */
  declare(declaration: ManagedDeclaration): Managed {
    const { developerName } = declaration;
    const known = this.#all.find((managed) => managed.developerName === developerName);
    if (known) return Object.assign(known, declaration);
    const made: Managed = {
      label: developerName,
      defaultReplay: 'LATEST',
      errorRecoveryReplay: 'LATEST',
      state: 'RUN',
      ...declaration,
      id: recordId(KEY_PREFIX, this.#all.length + 1),
      committed: undefined,
      active: false,
    };
    this.#all.push(made);
    return made;
  }

  list(): readonly Managed[] {
    return this.#all;
  }

  /** The one that a first request names, which nobody is on. */
  claim(id: string, developerName: string): Managed {
    const code = 'managed.subscription.';
    if ((id === '') === (developerName === ''))
      throw invalid(
        `${code}id.or.developer.name.empty`,
        'Give the subscription ID or the developer name, one of them.',
      );
    if (id !== '' && id.length !== 15 && id.length !== 18)
      throw invalid(
        `${code}subscription.id.invalid`,
        `The subscription ID ${id} must have 15 or 18 characters.`,
      );
    const managed = this.#all.find((one) =>
      id === '' ? one.developerName === developerName : one.id.startsWith(id),
    );
    if (!managed) {
      const which = id === '' ? 'developer.name' : 'subscription.id';
      throw new GrpcError(
        status.NOT_FOUND,
        `${code}${which}.not.found`,
        `There is no managed subscription ${id}${developerName}.`,
      );
    }
    if (managed.state === 'STOP')
      throw new GrpcError(
        status.FAILED_PRECONDITION,
        `${code}config.stopped`,
        `The managed subscription ${managed.developerName} is stopped.`,
      );
    if (managed.active)
      throw new GrpcError(
        status.ALREADY_EXISTS,
        `${code}already.active`,
        `The managed subscription ${managed.developerName} is active already.`,
      );
    managed.active = true;
    return managed;
  }
}

/** Where the subscription goes on: behind what was committed, or as it is set up; undefined: from now on. */
export function startOf(managed: Managed, log: EventLog): number | undefined {
  const at = (preset: Preset): number | undefined => (preset === 'EARLIEST' ? log.beginning() : undefined);
  if (!managed.committed) return at(managed.defaultReplay);
  return log.find(managed.committed.replayId) ?? at(managed.errorRecoveryReplay);
}

/** Stores the position; the error goes into the CommitReplayResponse and doesn't end the stream. */
export function commit(
  managed: Managed,
  log: EventLog,
  { replayId }: CommitReplayRequest,
  delivered: number,
): EventError | undefined {
  const refuse = (msg: string): EventError => ({ code: ErrorCode.COMMIT, msg });
  if (replayId.length === 0) return refuse('The commit request has no replay ID.');
  const position = log.find(replayId);
  if (position === undefined) return refuse('The replay ID is invalid or older than the retention window.');
  if (position > delivered) return refuse('The event with this replay ID has not been delivered yet.');
  if (managed.committed && position < managed.committed.position)
    return refuse('A later replay ID has been committed already.');
  managed.committed = { position, replayId: Buffer.from(replayId) };
  return undefined;
}
