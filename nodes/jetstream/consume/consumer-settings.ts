import { parseSettings, type Settings, type Stored } from '../../shared/settings/settings';
import { jetstreamIn } from '../jetstream-in.settings';
import { serverConfig, type StreamConfig } from '../streams/stream';
import type { DeadLetterSettings } from './dead-letter-writer';
import type { DurableSettings } from './durable-config';
import type { GateSettings } from './gate';
import type { SettlementSettings } from './settlement';

/** A jetstream-in node's settings, parsed. Milliseconds. */
export interface ConsumerSettings
  extends DurableSettings, SettlementSettings, DeadLetterSettings, GateSettings {
  /** The stream as it shall be; undefined: take it as it is. */
  provision: StreamConfig | undefined;
  /** Whether that may take anything from a stream that exists. */
  narrow?: boolean | undefined;
  /** Whether one instance at a time reads the durable, and all messages come in order. Default: shared. */
  sharing?: 'shared' | 'exclusive' | 'partitioned';
  /** Into how many partitions the durable is split, where it is. */
  partitions?: number | undefined;
}

/** What a jetstream-in asks of its consumer. Throws FlowError naming the setting that is wrong. */
export function consumerSettings(stored: Stored<typeof jetstreamIn>): ConsumerSettings {
  return consumerOf(parseSettings(jetstreamIn, stored));
}

export function consumerOf(settings: Settings<typeof jetstreamIn>): ConsumerSettings {
  const { stream, streamConfig, subject } = settings;
  return { ...settings, filters: subject, provision: streamConfig && serverConfig(stream, streamConfig) };
}
