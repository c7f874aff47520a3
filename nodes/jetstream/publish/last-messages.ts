import { FlowError } from '../../shared/errors';
import { apiPrefix } from '../server/api';
import { permissionDenied } from '../server/errors';
import type { Msg } from '../server/nats';
import { explainPublish } from './errors';
import type { ManyRequest, RequestMany } from './request-many';
import { say } from '../../shared/say';

/** The last message that a stream holds for a subject. */
export interface LastMessage {
  seq: number;
  data: string;
}

const WINDOW = 500;

interface StoredMessage {
  message?: { seq: number; data?: string };
  error?: { code?: number; description?: string };
}

/**
 * Reads the last messages of many subjects: by direct get (ADR-31), or from the stream's leader where the
 * stream allows no direct gets.
 */
export class LastMessages {
  private direct = true;

  constructor(
    private readonly requests: RequestMany,
    private readonly stream: string,
  ) {}

  /**
   * One entry a subject, undefined where the stream has nothing. Throws PERMISSION_DENIED, NO_STREAM, TIMEOUT,
   * DISCONNECTED, and CLOSED when `signal` aborts.
   */
  async read(subjects: readonly string[], signal: AbortSignal): Promise<(LastMessage | undefined)[]> {
    if (this.direct) {
      const found = await this.readDirect(subjects, signal);
      if (found) return found;
      this.direct = false;
    }
    return this.readFromLeader(subjects, signal);
  }

  /** Undefined where nobody answers direct gets. */
  private async readDirect(
    subjects: readonly string[],
    signal: AbortSignal,
  ): Promise<(LastMessage | undefined)[] | undefined> {
    const api = `${apiPrefix(this.requests.connection.settings.domain)}.DIRECT.GET.${this.stream}`;
    const answers = await this.ask(
      subjects.map((subject) => ({ subject: `${api}.${subject}` })),
      signal,
    );
    if (answers.some((answer) => answer.headers?.code === 503)) return undefined;
    return answers.map((answer) =>
      answer.headers?.code === 404
        ? undefined
        : { seq: Number(answer.headers?.get('Nats-Sequence')), data: answer.string() },
    );
  }

  private async readFromLeader(
    subjects: readonly string[],
    signal: AbortSignal,
  ): Promise<(LastMessage | undefined)[]> {
    const subject = `${apiPrefix(this.requests.connection.settings.domain)}.STREAM.MSG.GET.${this.stream}`;
    const requests = subjects.map((last_by_subj) => ({ subject, data: JSON.stringify({ last_by_subj }) }));
    return (await this.ask(requests, signal)).map((answer) => {
      if (answer.data.length === 0)
        throw explainPublish({ code: String(answer.headers?.code ?? '') }, subject, 0);
      const { message, error } = answer.json<StoredMessage>();
      if (message)
        return { seq: message.seq, data: Buffer.from(message.data ?? '', 'base64').toString('utf8') };
      if (error?.code === 404 && error.description === 'no message found') return undefined;
      throw new FlowError(
        'NO_STREAM',
        say`The stream "${this.stream}" can't be read: ${error?.description ?? say`no answer`}`,
      );
    });
  }

  private async ask(requests: ManyRequest[], signal: AbortSignal): Promise<Msg[]> {
    const answers = await this.requests.send(requests, WINDOW, signal, {
      request: (request) => request,
      read: (answer) => answer,
    });
    return answers.map((answer, i) => {
      if (!(answer instanceof FlowError)) return answer;
      if (answer.code !== 'PERMISSION_DENIED') throw answer;
      throw permissionDenied(
        'publish',
        requests[i]?.subject.replace(/(DIRECT\.GET\.[^.]+)\..*/, '$1.>') ?? '',
      );
    });
  }
}
