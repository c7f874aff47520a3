import { setTimeout as wait } from 'node:timers/promises';
import type { FaultAction } from '../../../test/org/control/faults';
import { until } from '../../../test/support/until';
import { activation } from '../activation';
import type { Stage, StageOptions } from '../stage';

/** Every call of the API, those that look whether the org is back among them. */
const ALL = { path: '/services/data/' };
const WRITES = { path: '/composite' };
const PAGE = '<html><body>Please log in</body></html>';
const TIMED_OUT = /no answer within 1 s/;

/** The order of two changes of one contact is kept whatever the org does. */
const stage: StageOptions = { changes: 'at once' };

/** So many writes meet it, and all of them have before it is over. */
async function inWrites({ org, flowing }: Stage, action: FaultAction, times: number): Promise<void> {
  for (let n = 1; n <= times; n++) {
    org.faults.add({ match: WRITES, action, times: 1 });
    await until(async () => (await pendingFaults(org.url)) === 0, {
      timeout: 60_000,
      what: 'a write to meet the fault',
    });
    await flowing(30);
  }
}

async function pendingFaults(url: string): Promise<number> {
  const answer = await fetch(`${url}/_org/faults`);
  return ((await answer.json()) as unknown[]).length;
}

/** The org gives this answer to everything, for so long from the first call that gets it. */
async function toEverything({ org }: Stage, action: FaultAction, ms: number): Promise<void> {
  org.clearRequests();
  org.faults.add({ match: ALL, action });
  await until(() => org.requests().some(({ status }) => status === action.status), {
    timeout: 60_000,
    what: `a call to be answered ${action.status}`,
  });
  await wait(ms);
  org.faults.clear();
}

export const faults = [
  activation({
    name: 'org-sessions-expired',
    what: 'the org ends all sessions, five times',
    stage,
    async strike({ org, flowing }) {
      for (let n = 1; n <= 5; n++) {
        org.expireSessions();
        await flowing(30);
      }
    },
  }),
  activation({
    name: 'org-401',
    what: 'the org refuses new sessions too, for 2 s',
    stage,
    strike: (on) => toEverything(on, { status: 401 }, 2_000),
  }),
  activation({
    name: 'org-403-limit',
    what: 'the org answers 403 REQUEST_LIMIT_EXCEEDED for 3 s',
    stage,
    strike: (on) => toEverything(on, { status: 403, errorCode: 'REQUEST_LIMIT_EXCEEDED' }, 3_000),
  }),
  activation({
    name: 'org-503',
    what: 'the org answers 503 for 3 s',
    stage,
    strike: (on) => toEverything(on, { status: 503 }, 3_000),
  }),
  activation({
    name: 'org-500',
    what: 'the org answers 500 to writes, carried out or not',
    stage,
    async strike(on) {
      await inWrites(on, { status: 500 }, 2);
      await inWrites(on, { status: 500, after: true }, 2);
    },
  }),
  activation({
    name: 'org-moved',
    what: 'the org moves to another instance, three times, and its old address redirects (301)',
    stage,
    async strike({ org, flowing }) {
      for (let n = 1; n <= 3; n++) {
        org.migrate();
        await flowing(30);
      }
    },
  }),
  activation({
    name: 'org-read-only',
    what: 'the org is in read-only mode for maintenance, for 3 s',
    stage,
    async strike({ org, flowing }) {
      org.clearRequests();
      org.switches.readOnly = true;
      await until(() => org.requests().some(({ path }) => path.includes(WRITES.path)), {
        timeout: 60_000,
        what: 'a write into the org',
      });
      await wait(3_000);
      org.switches.readOnly = false;
      await flowing(30);
    },
  }),
  activation({
    name: 'org-edge-refuses',
    what: 'the edge before the org answers 406, 420, 429, and a page of 403, for 1 s each',
    stage,
    async strike(on) {
      await toEverything(on, { status: 406, body: '', headers: { server: 'sfdcedge' } }, 1_000);
      for (const status of [420, 429, 403]) await toEverything(on, { status, body: PAGE }, 1_000);
    },
  }),
  activation({
    name: 'org-portal',
    what: 'a portal in between answers a page to everything, logins too, redirects for 2 s, then 200 for 2 s',
    stage,
    async strike(on) {
      for (const portal of [
        { status: 302, headers: { location: 'http://portal.example/' } },
        { status: 200 },
      ]) {
        on.org.faults.add({ match: { path: '/oauth2/token' }, action: { ...portal, body: PAGE } });
        await toEverything(on, { ...portal, body: PAGE }, 2_000);
      }
    },
  }),
  activation({
    name: 'org-upsert-races',
    what: 'another client creates the records of upserts just before them',
    stage,
    async strike({ org, flowing }) {
      org.switches.upsertRaces = 20;
      await flowing(60);
      org.switches.upsertRaces = 0;
    },
  }),
  activation({
    name: 'org-trigger-limits',
    what: 'triggers that fail every row of a collection of more than 20',
    stage,
    async strike({ org, flowing }) {
      org.switches.triggerRows = { Contact: 20 };
      await flowing(200);
      org.switches.triggerRows = {};
    },
  }),
  activation({
    name: 'org-reset-before',
    what: 'connections reset before the write',
    stage,
    strike: (on) => inWrites(on, { reset: 'before' }, 4),
  }),
  activation({
    name: 'org-reset-after',
    what: 'connections reset after the write',
    stage,
    strike: (on) => inWrites(on, { reset: 'after' }, 4),
  }),
  activation({
    name: 'org-reset-body',
    what: 'connections reset in the middle of the answer',
    stage,
    strike: (on) => inWrites(on, { reset: 'body' }, 4),
  }),
  activation({
    name: 'org-answers-late',
    what: 'answers that come after the time-out',
    stage: { ...stage, settings: { httpRequestTimeout: 1_000 } },
    async strike(on) {
      await inWrites(on, { delayMs: 3_000, after: true }, 4);
      await on.red.waitForLog(TIMED_OUT);
    },
  }),
  activation({
    name: 'org-works-late',
    what: 'writes that the org begins after the time-out, when they have been repeated',
    // A state that is written when a later one stands there already would replace it: nobody outside can prevent that.
    stage: { changes: 'never', settings: { httpRequestTimeout: 1_000 } },
    async strike(on) {
      await inWrites(on, { delayMs: 3_000 }, 4);
      await wait(3_000);
      await on.red.waitForLog(TIMED_OUT);
    },
  }),
  activation({
    name: 'create-answer-lost',
    what: 'answers to creates lost: given up as AMBIGUOUS_WRITE, never doubled',
    stage: { operation: 'create', mayGiveUp: 'AMBIGUOUS_WRITE' },
    async strike(on) {
      for (const reset of ['after', 'before', 'body'] as const) await inWrites(on, { reset }, 1);
      await inWrites(on, { status: 500, after: true }, 1);
    },
  }),
  activation({
    name: 'org-row-locks',
    what: 'rows locked, again and again for 3 s',
    stage,
    async strike({ org }) {
      for (let n = 1; n <= 30; n++) {
        org.faults.add({ match: WRITES, action: { rowError: 'UNABLE_TO_LOCK_ROW' }, times: 3 });
        await wait(100);
      }
      org.faults.clear();
    },
  }),
];
