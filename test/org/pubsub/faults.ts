/** Faults of the Pub/Sub side: those that have a `grpc` action, or name a topic. */
import { status } from '@grpc/grpc-js';
import { setTimeout as wait } from 'node:timers/promises';
import { isRecord } from '../store/dml';
import { type Occasion } from '../control/faults';
import { GrpcError } from './errors';
import { type OrgState } from '../state';

export interface GrpcAction {
  /** gRPC status: 14 or "UNAVAILABLE". */
  code?: number | string;
  /** The `error-code` trailer, with the prefix or without it; none where it isn't given. */
  errorCode?: string;
  message?: string;
  /** Before the work (default), or after it: published, or delivered, but not answered. */
  when?: 'before' | 'after';
  /** Cut the connection instead of answering; of what was sent just before, some may not arrive. */
  drop?: boolean;
  /** Wait before the work. */
  delayMs?: number;
}

/** What goes wrong around one piece of work. */
export interface Trouble {
  before(): Promise<void>;
  after(): void;
}

/**
 * The trouble of this request, if a fault is meant for it. `drop` cuts the client's connection; thrown errors end the
 * call.
 */
export function troubleFor(org: OrgState, occasion: Occasion, drop: () => void): Trouble | undefined {
  const action = org.faults.forCall(occasion);
  if (!action) return undefined;
  const grpc: GrpcAction = isRecord(action.grpc) ? action.grpc : {};
  const when = grpc.when ?? (action.reset === undefined || action.reset === 'before' ? 'before' : 'after');
  const strike = (): void => {
    if (grpc.drop === true || action.reset !== undefined) {
      drop();
      throw new GrpcError(status.UNAVAILABLE, undefined, 'the connection was cut');
    }
    if (grpc.code !== undefined)
      throw new GrpcError(codeOf(grpc.code), grpc.errorCode, grpc.message ?? 'simulated');
  };
  return {
    before: async () => {
      const delayMs = grpc.delayMs ?? action.delayMs;
      if (delayMs !== undefined) await wait(delayMs);
      if (when === 'before') strike();
    },
    after: () => {
      if (when === 'after') strike();
    },
  };
}

function codeOf(code: number | string): status {
  const number: unknown = typeof code === 'number' ? code : status[code as keyof typeof status];
  if (typeof number !== 'number' || status[number] === undefined) throw new Error(`no gRPC status ${code}`);
  return number;
}
