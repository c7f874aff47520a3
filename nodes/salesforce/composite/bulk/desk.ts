import { pause } from '../../../shared/async/pause';
import { FlowError } from '../../../shared/errors';
import { judgeAnswer, outageOf, restError, type OrgAnswer } from '../../org/answer';
import { OrgOutage } from '../../org/outage';
import type { OrgRequest, OrgSession } from '../../org/session';
import { say } from '../../../shared/say';

/** What jobs need of the session with the org. */
export type BulkOrg = Pick<
  OrgSession,
  'availability' | 'budget' | 'budgetOutage' | 'onChange' | 'request' | 'underWay'
> &
  Partial<Pick<OrgSession, 'userId'>>;

/** The node is closing: nothing more is asked. */
export class Stopped extends Error {}

/** The org has refused, in its own words: nothing was carried out. */
export class Refused extends FlowError {
  constructor(answer: Pick<OrgAnswer, 'status' | 'body'>) {
    const { errorCode, message } = restError(answer);
    super(errorCode, `${errorCode}: ${message}`, false);
  }
}

/** Milliseconds for files and results, which are large. */
export const LARGE = 600_000;
const MOMENT = 100;

/**
 * One request of a job, when the org can be used: the body of its answer. What is asked by GET is asked until there is
 * an answer, or so many times; of others OrgOutage tells that it was lost, or not carried out. Throws Refused, and Stopped where `signal`
 * aborts before it is sent.
 */
export async function ask(
  org: BulkOrg,
  signal: AbortSignal,
  method: string,
  path: string,
  request: OrgRequest = {},
  tries = method === 'GET' ? Infinity : 1,
): Promise<unknown> {
  for (let time = 1; ; time++) {
    await usable(org, signal);
    request.before?.();
    try {
      return readAnswer(await org.request(method, path, request), method);
    } catch (error) {
      if (!(error instanceof OrgOutage)) throw error;
      org.availability.begin(error);
      if (time >= tries) throw error;
      await pause(MOMENT, signal);
    }
  }
}

/** Resolves when the org, and our share of its calls, can be used. Throws Stopped. */
async function usable(org: BulkOrg, signal: AbortSignal): Promise<void> {
  for (;;) {
    if (signal.aborted) throw new Stopped();
    if (org.budget.spent(org.underWay)) org.availability.begin(org.budgetOutage());
    if (!org.availability.current) return;
    await new Promise<void>((resolve) => {
      const done = () => {
        forget();
        signal.removeEventListener('abort', done);
        resolve();
      };
      const forget = org.onChange(done);
      signal.addEventListener('abort', done);
    });
  }
}

function readAnswer(answer: OrgAnswer, method: string): unknown {
  const outage = outageOf(answer, method !== 'GET');
  if (outage) throw outage;
  const verdict = judgeAnswer(answer);
  if (verdict === 'done') return answer.body;
  if (verdict === 'refused' || verdict === 'large') throw new Refused(answer);
  const { errorCode, message } = restError(answer);
  throw new OrgOutage('unreachable', errorCode, say`The org failed (${errorCode}: ${message})`, true);
}
