import type { Settings } from '../../shared/settings/settings';
import type { jetstreamIn } from '../jetstream-in.settings';

/** The settings of jetstream-in that are the durable's, not the node's. */
export const durableSettings = [
  'subject',
  'deliver',
  'startSequence',
  'startTime',
  'ackWait',
  'maxDeliver',
  'maxAckPending',
  'sharing',
  'partitions',
] as const satisfies (keyof Settings<typeof jetstreamIn>)[];

type Name = (typeof durableSettings)[number];
export type DurableDemand = Pick<Settings<typeof jetstreamIn>, Name>;

/** The settings in which two nodes on one durable differ; with none they share its work. */
export function durableConflicts(a: DurableDemand, b: DurableDemand): Name[] {
  return durableSettings.filter((name) => comparable(a[name]) !== comparable(b[name]));
}

function comparable(value: unknown): string {
  return Array.isArray(value) ? [...new Set(value as string[])].sort().join(' ') : String(value);
}
