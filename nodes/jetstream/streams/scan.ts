import { onAbort } from '../../shared/async/signals';
import { FlowError } from '../../shared/errors';
import { apiPrefix, jsApi } from '../server/api';
import { closedError, type Connection } from '../server/connection';
import { deliveryInfo } from '../consume/message';
import type { Msg, NatsConnection } from '../server/nats';
import { say } from '../../shared/say';

const PAGE = 1_000;
const TIMEOUT = 10_000;
const NANOS = 1_000_000;
/** A page may wait so long for whoever handles the one before. */
const IDLE = 10 * 60_000;

/**
 * The last message of every subject of a stream below `filter`, in pages of 1,000, oldest first. Needs the rights to
 * create a consumer and to pull from it. Throws FlowError; CLOSED when `signal` aborts.
 */
export async function* scan(
  connection: Connection,
  stream: string,
  filter: string,
  signal: AbortSignal,
): AsyncGenerator<Msg[], void, undefined> {
  const { createInbox } = await import('../server/nats.js');
  const nc = await connection.ready(signal);
  const { domain, inboxPrefix } = connection.settings;
  const consumer = await jsApi<{ name: string; num_pending: number }>(
    nc,
    domain,
    `CONSUMER.CREATE.${stream}`,
    {
      stream_name: stream,
      config: {
        deliver_policy: 'last_per_subject',
        filter_subject: filter,
        ack_policy: 'none',
        replay_policy: 'instant',
        inactive_threshold: IDLE * NANOS,
      },
    },
  );
  const subject = `${apiPrefix(domain)}.CONSUMER.MSG.NEXT.${stream}.${consumer.name}`;
  try {
    for (let pending = consumer.num_pending; pending > 0;) {
      const batch = Math.min(PAGE, pending);
      const page = await pull({ nc, subject, inbox: createInbox(inboxPrefix), batch, signal });
      const last = page.at(-1);
      if (!last) return;
      pending = deliveryInfo(last.reply ?? '').pending;
      yield page;
    }
  } finally {
    void jsApi(nc, domain, `CONSUMER.DELETE.${stream}.${consumer.name}`).catch(() => undefined);
  }
}

interface Request {
  nc: NatsConnection;
  /** Of the consumer's MSG.NEXT. */
  subject: string;
  inbox: string;
  batch: number;
  signal: AbortSignal;
}

/** Up to `batch` messages, those that are there now. */
function pull({ nc, subject, inbox, batch, signal }: Request): Promise<Msg[]> {
  return new Promise((resolve, reject) => {
    const page: Msg[] = [];
    const subscription = nc.subscribe(inbox, {
      callback: (error, msg) => {
        if (error) return end(error);
        // What has no ack subject is the server saying that there is no more, or why there is nothing.
        if (!msg.reply?.startsWith('$JS.ACK.')) return end(isOver(msg) ? undefined : unreadable(msg));
        page.push(msg);
        if (page.length === batch) end();
      },
    });
    const end = (error?: Error): void => {
      clearTimeout(timer);
      forget();
      subscription.unsubscribe();
      if (error) reject(error);
      else resolve(page);
    };
    const aborted = (): void => end(closedError());
    const timer = setTimeout(() => end(silent(subject)), TIMEOUT);
    const forget = onAbort(signal, aborted);
    if (signal.aborted) return aborted();
    nc.publish(subject, JSON.stringify({ batch, no_wait: true }), { reply: inbox });
  });
}

function isOver({ headers }: Msg): boolean {
  return headers?.code === 404 || headers?.code === 408;
}

function unreadable({ headers }: Msg): FlowError {
  return new FlowError(
    'STREAM_UNREADABLE',
    say`The stream could not be read: ${headers?.code} ${headers?.description}`,
  );
}

function silent(subject: string): FlowError {
  return new FlowError('TIMEOUT', say`The server did not answer ${subject} within ${TIMEOUT / 1_000}s`);
}
