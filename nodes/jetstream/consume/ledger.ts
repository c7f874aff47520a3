import { randomBytes } from 'node:crypto';
import { coalesced } from '../../shared/async/coalesced';
import { withTimeout } from '../../shared/async/timeout';
import { codeOf, messageOf } from '../../shared/errors';
import { publishOnce } from '../publish/pub-ack';
import { apiPrefix, jsApi } from '../server/api';
import type { Connection } from '../server/connection';
import { ApiCode, JetStreamError } from '../server/errors';
import type { NatsConnection } from '../server/nats';
import { consumerInfo, type ConsumerInfo } from './durable';
import type { Memory } from './memory';
import { learnFrom, readRecord, recordOf, type StoredRecord } from './tries-record';
import { say } from '../../shared/say';

/** The bucket of what was tried, one for the account. */
export const TRIES_BUCKET = 'jetforce-tries';
const STREAM = `KV_${TRIES_BUCKET}`;
/** Records of durables that nobody reads any more go away by themselves. Nanoseconds. */
const MAX_AGE = 7 * 86_400 * 1e9;
const MAX_BYTES = 64 * 1024 * 1024;
/** Of a message in a record, at most. */
const ENTRY_BYTES = 64;
/** Messages in the flow that may come alone after one crash: of more it takes two. */
const FEW = 50;
/** Of one durable: more were left behind by processes long gone. */
const MOST_RECORDS = 200;
/** Whoever waits for a write waits no longer. */
const PATIENCE = 2_000;
const OUT_OF_REACH = new Set(['TIMEOUT', 'NO_STREAM', 'DISCONNECTED', 'CONNECTION_CLOSED']);

export interface LedgerSettings {
  stream: string;
  durable: string;
  ackWait: number;
}

/**
 * What a consumer knows of tries that whoever gets a message next has to know too: another instance, or a later
 * process. Kept as one record per consumer in a key-value bucket, `<stream>.<durable>.<random>`, written every quarter of
 * the ack wait and when a message fails, never per message. A record that is open and not written for half an ack wait
 * tells of a process that crashed: sooner nothing of what it held is delivered again.
 * Where the user may not have the bucket `shared` is false, which is said once.
 */
export class Ledger {
  /** What others know is known here and the other way round, or will be when the bucket is in reach again. */
  shared = true;
  /**
   * Messages go into the flow side by side, so that any of them may have ended the process if it ends now. To be saved
   * before that is so.
   */
  sideBySide = true;
  private memory: Memory | undefined;
  private readonly prefix: string;
  private readonly subject: string;
  private readonly beat: number;
  private replicas = 1;
  private closed = false;
  /** Nobody else is at work while this one is. */
  private sole = false;
  private resting = false;
  /** It was written and read at least once. */
  private kept = false;
  private denied = false;
  private floor = 0;
  private timer: NodeJS.Timeout | undefined;
  private saving: { write: Promise<void>; done: Promise<void> } | undefined;
  private readonly write = coalesced(() => this.put().catch((error: unknown) => this.failed(error)));
  private readonly reread = coalesced(() => this.read().catch((error: unknown) => this.failed(error)));

  constructor(
    private readonly connection: Connection,
    private readonly settings: LedgerSettings,
    private readonly warn: (text: string) => void,
  ) {
    const { stream, durable, ackWait } = settings;
    this.prefix = `$KV.${TRIES_BUCKET}.${stream}.${durable}`;
    this.subject = `${this.prefix}.${randomBytes(6).toString('hex')}`;
    this.beat = Math.max(250, ackWait / 4);
  }

  /** Before the first message is asked for, and after each reconnect. Resolves when this consumer is known to be at work. */
  async begin(memory: Memory, info: ConsumerInfo, sole = false): Promise<void> {
    if (this.closed) return;
    this.sole = sole;
    this.resting = false;
    this.memory = memory;
    this.replicas = (info.cluster?.replicas?.length ?? 0) + 1;
    this.floor = info.ack_floor.stream_seq;
    await withTimeout(PATIENCE, this.reread());
    if (!this.stopped())
      this.timer ??= setInterval(() => void (this.kept ? this.write() : this.reread()), this.beat);
  }

  /** Others are at work, and this one is not, until it begins again. */
  rest(): void {
    clearInterval(this.timer);
    this.timer = undefined;
    this.resting = true;
    void this.save();
  }

  /** Resolves when what is known now is stored, or after 2 s at most: those that share a write share its time, too. */
  save(): Promise<void> {
    const write = this.write();
    if (this.saving?.write !== write) this.saving = { write, done: withTimeout(PATIENCE, write) };
    return this.saving.done;
  }

  /** Resolves when what the others had stored before is known, as far as it can be. */
  refresh(): Promise<void> {
    return this.reread();
  }

  /** In order: whatever is in the flow from here on did not end the process. Still saves afterwards. */
  async close(): Promise<void> {
    clearInterval(this.timer);
    this.closed = true;
    if (!this.memory) return;
    await this.save();
    const { counted, crashedUntil } = this.memory;
    const nc = this.connection.open;
    if (this.kept && nc && counted.size === 0 && crashedUntil === 0)
      await withTimeout(PATIENCE, this.remove(nc, this.subject));
  }

  private isOpen(): boolean {
    return this.sideBySide && !this.closed && !this.resting;
  }

  private stopped(): boolean {
    return this.closed;
  }

  private async put(): Promise<void> {
    const nc = this.connection.open;
    const { memory } = this;
    if (!nc || !memory || this.denied) return;
    const { domain } = this.connection.settings;
    const subject = `${domain ? `${apiPrefix(domain)}.` : ''}${this.subject}`;
    const most = Math.floor((nc.info?.max_payload ?? Infinity) / ENTRY_BYTES);
    const store = async (): Promise<unknown> => {
      const record = recordOf(memory, this.isOpen(), this.beat, most);
      return publishOnce(nc, subject, JSON.stringify(record), { domain });
    };
    try {
      await store();
    } catch (error) {
      if (codeOf(error) !== 'NO_STREAM') throw error;
      await this.create(nc);
      await store();
    }
  }

  private async read(): Promise<void> {
    const nc = this.connection.open;
    const { memory } = this;
    if (!nc || !memory || this.denied) return;
    const { domain } = this.connection.settings;
    await this.put();
    const records = await this.list(nc);
    const own = records.find(({ subject }) => subject === this.subject);
    const others = records.filter(({ subject }) => subject !== this.subject);
    const { crashed, over } = learnFrom(memory, others, own?.at ?? 0, this.sole);
    if (crashed) {
      const info = await consumerInfo(nc, domain, this.settings.stream, this.settings.durable);
      const delivered = info?.delivered.stream_seq ?? 0;
      // Where deliveries are counted anew, those that were there twice in a row are known by this only.
      if (this.sole) memory.fewUntil = Math.max(memory.fewUntil, Math.min(memory.crashedUntil, delivered));
      memory.crashedUntil = Math.max(memory.crashedUntil, delivered);
      if ((info?.num_ack_pending ?? 0) <= FEW) memory.fewUntil = Math.max(memory.fewUntil, delivered);
      this.floor = info?.ack_floor.stream_seq ?? 0;
    }
    memory.passed(this.floor);
    if (over.length > 0) await this.put();
    for (const subject of over) await this.remove(nc, subject);
    this.kept = this.shared = true;
  }

  private async list(nc: NatsConnection): Promise<StoredRecord[]> {
    const { domain } = this.connection.settings;
    const found: StoredRecord[] = [];
    for (let seq = 1, looked = 0; looked < MOST_RECORDS; looked++) {
      try {
        const next = { next_by_subj: `${this.prefix}.>`, seq };
        const { message } = await jsApi<{
          message: { subject: string; seq: number; data?: string; time: string };
        }>(nc, domain, `STREAM.MSG.GET.${STREAM}`, next);
        const record = readRecord(Buffer.from(message.data ?? '', 'base64').toString());
        if (record) found.push({ subject: message.subject, at: Date.parse(message.time), record });
        seq = message.seq + 1;
      } catch (error) {
        if (error instanceof JetStreamError && error.apiCode === ApiCode.noMessage) break;
        throw error;
      }
    }
    return found;
  }

  private async create(nc: NatsConnection): Promise<void> {
    const config = {
      name: STREAM,
      description: 'What jetstream-in nodes of Node-RED have tried',
      subjects: [`$KV.${TRIES_BUCKET}.>`],
      max_msgs_per_subject: 1,
      max_age: MAX_AGE,
      max_bytes: MAX_BYTES,
      discard: 'old',
      storage: 'file',
      num_replicas: this.replicas,
      allow_rollup_hdrs: true,
    };
    try {
      await jsApi(nc, this.connection.settings.domain, `STREAM.CREATE.${STREAM}`, config);
    } catch (error) {
      // Another instance was quicker.
      if (!(error instanceof JetStreamError && error.apiCode === ApiCode.streamNameInUse)) throw error;
    }
  }

  /** Records that stay where this may not be done age out. */
  private async remove(nc: NatsConnection, subject: string): Promise<void> {
    try {
      await jsApi(nc, this.connection.settings.domain, `STREAM.PURGE.${STREAM}`, { filter: subject });
    } catch {
      // See above.
    }
  }

  /** What is out of reach for the moment is tried again with the next beat. */
  private failed(error: unknown): void {
    const code = codeOf(error);
    if (this.kept || !this.shared || !this.connection.open || OUT_OF_REACH.has(code)) return;
    this.shared = false;
    this.denied = code === 'PERMISSION_DENIED';
    const { durable } = this.settings;
    this.warn(
      say`What was tried of the durable "${durable}" can't be kept in the bucket "${TRIES_BUCKET}", so only this process knows it, and after a restart or on another instance each delivery may count as a try: ${messageOf(error)}`,
    );
  }
}
