import type { DeadLetter, DeadLetters, LettersPlace, StoredLetter } from '../../shared/dead-letters';
import { FlowError } from '../../shared/errors';
import { jsApi } from '../server/api';
import type { Connection } from '../server/connection';
import { ApiCode, JetStreamError } from '../server/errors';
import type { NatsConnection } from '../server/nats';
import type { StreamInfo } from '../streams/stream';
import { checkPublishSubject } from '../streams/subjects';
import { publishLetter } from './dead-letter';
import { ensureDeadLetterStream, streamTaking } from './dead-letter-stream';
import { say } from '../../shared/say';

interface StoredMsg {
  message: { seq: number; time: string; data?: string; hdrs?: string };
}

/** The dead letters under a subject, with the connection held until they are closed. */
export function deadLettersOf(connection: Connection, subject: string): DeadLetters {
  checkPublishSubject(subject);
  const { domain } = connection.settings;
  const release = connection.use({});
  const open = (): NatsConnection => {
    if (connection.open) return connection.open;
    throw new FlowError('DISCONNECTED', say`There is no connection to ${connection.settings.servers} now`);
  };
  const streamOf = async (nc: NatsConnection): Promise<string> => {
    const stream = await streamTaking(nc, domain, subject);
    if (stream !== undefined) return stream;
    throw new FlowError('NO_DEAD_LETTER_STREAM', say`No stream takes "${subject}"`);
  };
  return {
    subject,
    async put({ id, payload, headers, others }, signal) {
      const nc = await connection.ready(signal);
      const own: DeadLetter['headers'] = [['Nats-Msg-Id', id], ...headers];
      const reason = await publishLetter(nc, domain, subject, payload, own, others);
      if (reason) throw reason;
    },
    async check(signal) {
      await ensureDeadLetterStream(await connection.ready(signal), domain, subject, undefined);
    },
    async place(): Promise<LettersPlace> {
      const nc = open();
      const stream = await streamTaking(nc, domain, subject);
      if (stream === undefined) return { stream, stored: 0 };
      const { state } = await jsApi<StreamInfo & { state: { subjects?: Record<string, number> } }>(
        nc,
        domain,
        `STREAM.INFO.${stream}`,
        { subjects_filter: subject },
      );
      return { stream, stored: Object.values(state.subjects ?? {}).reduce((sum, count) => sum + count, 0) };
    },
    async next(from) {
      const nc = open();
      const stream = await streamOf(nc);
      try {
        const asked = { seq: from, next_by_subj: subject };
        return stored(await jsApi<StoredMsg>(nc, domain, `STREAM.MSG.GET.${stream}`, asked));
      } catch (error) {
        if (error instanceof JetStreamError && error.apiCode === ApiCode.noMessage) return undefined;
        throw error;
      }
    },
    async remove(sequence) {
      const nc = open();
      const stream = await streamOf(nc);
      try {
        // Without erasing: what it held was readable all the time.
        await jsApi(nc, domain, `STREAM.MSG.DELETE.${stream}`, { seq: sequence, no_erase: true });
      } catch (error) {
        if (!(error instanceof JetStreamError) || !GONE.has(error.apiCode)) throw error;
      }
    },
    close: release,
  };
}

/** "no message found"; newer servers say "sequence … not found" with the code of a failed deletion. */
const GONE = new Set<number>([ApiCode.noMessage, 10043]);

function stored({ message }: StoredMsg): StoredLetter {
  const { seq, time, data = '', hdrs = '' } = message;
  const headers = new Map<string, string[]>();
  const [, ...lines] = Buffer.from(hdrs, 'base64').toString('utf8').split('\r\n');
  for (const line of lines) {
    const colon = line.indexOf(':');
    if (colon < 0) continue;
    const name = line.slice(0, colon);
    headers.set(name, [...(headers.get(name) ?? []), line.slice(colon + 1).trim()]);
  }
  return { sequence: seq, at: new Date(time).toISOString(), payload: Buffer.from(data, 'base64'), headers };
}
