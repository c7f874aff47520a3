import { parseSettings, type Settings, type Stored } from '../../shared/settings/settings';
import type { ConsumerSettings } from './consumer';
import { jetstreamIn } from '../jetstream-in.settings';
import { serverConfig } from '../streams/stream';

/** What a jetstream-in asks of its consumer. Throws FlowError naming the setting that is wrong. */
export function consumerSettings(stored: Stored<typeof jetstreamIn>): ConsumerSettings {
  return consumerOf(parseSettings(jetstreamIn, stored));
}

export function consumerOf(settings: Settings<typeof jetstreamIn>): ConsumerSettings {
  const { stream, streamConfig, subject } = settings;
  return { ...settings, filters: subject, provision: streamConfig && serverConfig(stream, streamConfig) };
}
