import { FlowError } from '../../shared/errors';
import type { Position, PositionStore } from '../../shared/positions';
import type { Connection } from '../server/connection';
import { ApiCode, explainPermission, JetStreamError } from '../server/errors';
import type { KV, NatsConnection } from '../server/nats';
import { apiPrefix, jsApi } from '../server/api';
import { explainPublish } from '../publish/errors';
import { publishOnce } from '../publish/pub-ack';
import { rawHeaders } from '../publish/raw-headers';
import { say } from '../../shared/say';

const TIMEOUT = 5_000;
const NOTHING = new Set<number>([ApiCode.noMessage, ApiCode.streamNotFound]);

interface Found {
  message: { seq: number; data?: string };
}

/**
 * A key-value bucket, made where it is missing. Keys hold letters, digits and `-_=./` only. Every operation waits
 * for the connection, and throws FlowError: PERMISSION_DENIED, TIMEOUT, NO_STREAM, CLOSED when `signal` aborts.
 */
export class Bucket implements PositionStore {
  private opened: { nc: NatsConnection; kv: Promise<KV> } | undefined;

  constructor(
    private readonly connection: Connection,
    readonly name: string,
    private readonly replicas = 1,
  ) {
    if (!/^[-\w]+$/.test(name))
      throw new FlowError(
        'INVALID_BUCKET',
        say`"${name}" is not the name of a bucket: letters, digits, - and _ only`,
        false,
      );
  }

  async get(key: string, signal: AbortSignal): Promise<Position | undefined> {
    const entry = await this.run(signal, (kv) => kv.get(key));
    return entry?.operation === 'PUT' ? { value: entry.string(), revision: entry.revision } : undefined;
  }

  /** As get, and makes no bucket: undefined also where there is none. */
  async find(key: string, signal: AbortSignal): Promise<Position | undefined> {
    const nc = await this.connection.ready(signal);
    const asked = { last_by_subj: `$KV.${this.name}.${key}` };
    try {
      const { domain } = this.connection.settings;
      const { message } = await jsApi<Found>(nc, domain, `STREAM.MSG.GET.KV_${this.name}`, asked);
      if (message.data === undefined) return undefined;
      return { value: Buffer.from(message.data, 'base64').toString(), revision: message.seq };
    } catch (error) {
      if (error instanceof JetStreamError && NOTHING.has(error.apiCode)) return undefined;
      throw this.explain(error);
    }
  }

  /**
   * Writes if the key still has this revision, 0 if it has no value; gives the new revision, or
   * undefined where somebody else was there first. A write whose answer was lost is recognised by its value, so
   * values of different writers have to differ.
   */
  async put(key: string, value: string, revision: number, signal: AbortSignal): Promise<number | undefined> {
    try {
      return await this.write(key, value, signal, `Nats-Expected-Last-Subject-Sequence: ${revision}\r\n`);
    } catch (error) {
      const code = (error as { cause?: { api_error?: { err_code?: number } } }).cause?.api_error?.err_code;
      if (code !== ApiCode.wrongLastSequence && code !== ApiCode.wrongLastSequenceUnnamed) throw error;
      const entry = await this.run(signal, (kv) => kv.get(key));
      if (!entry) return undefined;
      // Somebody has deleted it: it has no value any more, but a revision.
      if (entry.operation !== 'PUT')
        return revision === 0 ? await this.put(key, value, entry.revision, signal) : undefined;
      return entry.string() === value && entry.revision > revision ? entry.revision : undefined;
    }
  }

  /** The client's own put takes any answer for the stream's. */
  private write(key: string, value: string, signal: AbortSignal, lines?: string): Promise<number> {
    const { domain } = this.connection.settings;
    const subject = `${domain ? `${apiPrefix(domain)}.` : ''}$KV.${this.name}.${key}`;
    const headers = lines === undefined ? undefined : rawHeaders(lines);
    return this.run(
      signal,
      async (_kv, nc) => (await publishOnce(nc, subject, value, { headers, domain })).seq,
    );
  }

  private async run<T>(signal: AbortSignal, work: (kv: KV, nc: NatsConnection) => Promise<T>): Promise<T> {
    const nc = await this.connection.ready(signal);
    try {
      return await work(await this.open(nc), nc);
    } catch (error) {
      throw this.explain(error);
    }
  }

  private open(nc: NatsConnection): Promise<KV> {
    if (this.opened?.nc !== nc) {
      const { domain } = this.connection.settings;
      const js = nc.jetstream({ ...(domain && { domain }), timeout: TIMEOUT, checkAPI: false });
      // Read from the leader: a replica may show a lease or position that is out of date.
      const kv = js.views.kv(this.name, { replicas: this.replicas, allow_direct: false });
      this.opened = { nc, kv };
      kv.catch(() => (this.opened = undefined));
    }
    return this.opened.kv;
  }

  private explain(error: unknown): FlowError {
    const refused = explainPermission(error);
    if (refused) return refused;
    const known = explainPublish(error, `$KV.${this.name}`, 0, this.connection.settings.domain);
    return new FlowError(known.code, say`The bucket "${this.name}" can't be used: ${known.message}`, true, {
      cause: known.cause,
    });
  }
}
