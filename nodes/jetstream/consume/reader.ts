import type { FlowError } from '../../shared/errors';
import type { Log } from '../../shared/log';
import type { MessageBatch } from './settlement';

/** A durable as the server has it. */
export interface Place {
  stream: string;
  durable: string;
}

export type ConsumerState =
  | { phase: 'connecting' }
  | { phase: 'standby' }
  | { phase: 'ready'; partitions?: { owned: number; all: number } }
  | { phase: 'failing'; error: FlowError };

export interface ConsumerHandler {
  /** Puts the batch into the flow; `payloads` in the order of its messages. */
  deliver(batch: MessageBatch, payloads: unknown[]): void;
  /** A message was given up, with a dead letter or without. */
  gaveUp?(): void;
  /** Called for every message too: it must be cheap. */
  state(state: ConsumerState): void;
  log: Log;
}

/** What reads a durable for a jetstream-in, alone or in partitions. */
export interface Reader {
  start(): void;
  /** Resolves when the flow has finished what it has, or after `grace` ms; the rest ends behind `finished`. */
  stop(grace: number): Promise<void>;
  /** After stop(): resolves when nothing of it is left. */
  readonly finished: Promise<void>;
  /** Messages in the flow at this moment. */
  readonly inFlow: number;
  /** Messages that the flow has finished. */
  readonly acknowledged: number;
  /** Nothing is asked for while it is paused; what was asked for before still comes, for some seconds. */
  paused: boolean;
  /** Messages that were sent back to come again, and when the first one does (ms epoch). */
  retries(): { count: number; first: number };
  /** Messages that nodes of the flow hold until something is back: since when (epoch ms), and which nodes. */
  heldInFlow(): { since: number; message: string } | undefined;
  /** The durables that stand for it at the server: those that are read here, or all. */
  places(which: 'own' | 'all'): Place[];
}
