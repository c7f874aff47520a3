import { good, type Check } from '../../shared/checks';
import { FlowError } from '../../shared/errors';
import { jsApi } from '../server/api';
import type { NatsConnection } from '../server/nats';
import { openNats } from '../server/open';
import { splitLogin, type ServerSettings } from '../server/server-settings';
import { planUpdate } from './provision';
import { recordFeatures, streamConfig, streamInfo, type StreamForm } from './stream';
import { SETTING_OF, type Difference } from './stream-changes';
import type { StoredStream } from './stream.settings';

/** One entry of a picker. */
export interface Choice {
  value: string;
  label?: string;
}

/** Opens a connection of its own for one question, tried once, until `signal` aborts. Throws FlowError in words. */
export async function askServer<T>(
  given: ServerSettings,
  ask: (nc: NatsConnection) => Promise<T>,
  signal?: AbortSignal,
): Promise<T> {
  const { settings, secrets } = splitLogin(given);
  const nc = await openNats(settings, secrets, { reconnect: false });
  const close = (): void => void nc.close().catch(() => undefined);
  if (signal?.aborted) close();
  else signal?.addEventListener('abort', close, { once: true });
  try {
    return await ask(nc);
  } finally {
    signal?.removeEventListener('abort', close);
    await nc.close().catch(() => undefined);
  }
}

/** Which server it is, whether JetStream is there, what it holds. */
export async function testConnection(settings: ServerSettings, signal?: AbortSignal): Promise<Check[]> {
  return askServer(
    settings,
    async (nc) => {
      const server = good('check_nats', { server: nc.getServer(), version: nc.info?.version ?? '?' });
      try {
        const { streams, consumers } = await jsApi<{ streams: number; consumers: number }>(
          nc,
          settings.domain,
          'INFO',
        );
        return [server, good('check_jetstream', { streams, consumers })];
      } catch (error) {
        if (!(error instanceof FlowError) || error.code !== 'PERMISSION_DENIED') throw error;
        return [server, good('check_jetstreamUnasked')];
      }
    },
    signal,
  );
}

interface Page {
  total: number;
  offset: number;
  limit: number;
}

/** All pages of a list of the JetStream API. */
async function listAll<T>(
  nc: NatsConnection,
  domain: string | undefined,
  verb: string,
  key: 'streams' | 'consumers',
): Promise<T[]> {
  const found: T[] = [];
  for (;;) {
    const page = await jsApi<Page & Partial<Record<'streams' | 'consumers', T[] | null>>>(nc, domain, verb, {
      offset: found.length,
    });
    const items = page[key] ?? [];
    found.push(...items);
    if (items.length === 0 || found.length >= page.total) return found;
  }
}

/** Those of messages: behind a bucket of keys or objects there is a stream too. */
async function streamNames(nc: NatsConnection, domain: string | undefined): Promise<string[]> {
  const names = await listAll<string>(nc, domain, 'STREAM.NAMES', 'streams');
  return names.filter((name) => !/^(KV|OBJ)_/.test(name)).sort();
}

export async function listStreams(settings: ServerSettings, signal?: AbortSignal): Promise<Choice[]> {
  return askServer(
    settings,
    async (nc) => {
      const names = await streamNames(nc, settings.domain);
      return names.map((value) => ({ value }));
    },
    signal,
  );
}

export async function listConsumers(
  settings: ServerSettings,
  stream: string,
  signal?: AbortSignal,
): Promise<Choice[]> {
  return askServer(
    settings,
    async (nc) => {
      const consumers = await listAll<string>(nc, settings.domain, `CONSUMER.NAMES.${stream}`, 'consumers');
      return consumers.sort().map((value) => ({ value }));
    },
    signal,
  );
}

/** The subjects that a stream takes; without a stream, those of all of them. */
export async function listSubjects(
  settings: ServerSettings,
  stream: string | undefined,
  signal?: AbortSignal,
): Promise<Choice[]> {
  return askServer(
    settings,
    async (nc) => {
      const names = stream ? [stream] : await streamNames(nc, settings.domain);
      const infos = await Promise.all(names.map((name) => streamInfo(nc, settings.domain, name)));
      return infos.flatMap((info) =>
        (info?.config.subjects ?? []).map((value) => ({ value, label: `${value} (${info?.config.name})` })),
      );
    },
    signal,
  );
}

/** A difference as a form shows it; empty for no limit. */
export interface ShownDifference {
  setting: (typeof SETTING_OF)[Difference['option']];
  from: string;
  to: string;
}

/** What is there, and what a deploy makes of it. */
export interface StreamOutlook {
  /** Undefined: there is no such stream yet. */
  stream?: { subjects: string[]; messages: number };
  changes: ShownDifference[];
  kept: ShownDifference[];
}

/** What the form of a node that provisions asks. */
export interface OutlookParams {
  stream: string;
  config: Partial<StoredStream>;
  narrow: boolean;
  /** For api-sync-out: with what writing records takes. */
  records: boolean;
}

/** What deploying a node that provisions this stream would do. `asked` is an OutlookParams in JSON. */
export async function streamOutlook(
  settings: ServerSettings,
  asked: string,
  signal?: AbortSignal,
): Promise<StreamOutlook> {
  const { stream, config, narrow, records } = JSON.parse(asked) as OutlookParams;
  return askServer(
    settings,
    async (nc) => {
      const features = records ? recordFeatures(nc) : {};
      const wanted = streamConfig(stream, { ...(config as StreamForm), ...features });
      const info = await streamInfo(nc, settings.domain, stream);
      if (!info) return { changes: [], kept: [] };
      const { changes, kept } = planUpdate(info.config, wanted, narrow);
      const { subjects = [] } = info.config;
      return {
        stream: { subjects, messages: info.state.messages },
        changes: changes.map(forForm),
        kept: kept.map(forForm),
      };
    },
    signal,
  );
}

function forForm({ option, from, to }: Difference): ShownDifference {
  return { setting: SETTING_OF[option], from, to };
}
