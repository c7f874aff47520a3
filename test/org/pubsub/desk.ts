/** What the handlers of all calls work on. */
import { setTimeout as wait } from 'node:timers/promises';
import { type EventBus } from './bus';
import { type OrgState } from '../state';

export interface Desk {
  readonly org: OrgState;
  readonly bus: EventBus;
  /** Cuts the connection that a call came on. */
  readonly drop: (call: { getPeer(): string }) => void;
}

/** The simulated time of a call, running from now on. */
export function simulatedTime({ latencyMs }: OrgState): Promise<void> {
  return latencyMs > 0 ? wait(latencyMs) : Promise.resolve();
}
