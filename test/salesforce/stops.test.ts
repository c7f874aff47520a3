import { afterEach, beforeEach, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { Availability, type PROBE_PAUSES } from '../../nodes/salesforce/org/availability';
import { OrgOutage } from '../../nodes/salesforce/org/outage';
import { OrgSession } from '../../nodes/salesforce/org/session';
import { Writer } from '../../nodes/salesforce/composite/writer';
import { temporaryFolder } from '../support/cleanup';
import { watchHeartbeat } from '../support/heartbeat';
import { stopAtEach, type Gates } from '../support/stops';
import { until } from '../support/until';
import { startServer, type AnsweringServer } from './org/answering-server';
import { record, records } from './fake-org';

// Every long-running thing on the way to the org is stopped at each of its awaits. The event loop must go on turning.
watchHeartbeat();

let server: AnsweringServer;
let folder: ReturnType<typeof temporaryFolder>;
beforeEach(async () => {
  server = await startServer();
  folder = temporaryFolder('stops');
  writeFileSync(
    join(folder.path, 'org.json'),
    JSON.stringify({ client_id: 'client', client_secret: 'secret', login_url: server.url }),
  );
});
afterEach(() => {
  server.close();
  folder.remove();
});

const PAUSES = {
  unreachable: [1, 4],
  login: [1, 4],
  limit: [1, 4],
  budget: [1, 4],
} as unknown as typeof PROBE_PAUSES;

interface Sent {
  records: unknown[];
}
const rowsOf = (sent: unknown[]) => sent.map(() => ({ id: '003000000000001', success: true, errors: [] }));

/** The server answers each request, and each login, when the gates let it. A 401 and an identity of its own take more steps. */
function answerThrough(gates: Gates): void {
  let expired = false;
  server.asked.length = server.logins.length = 0;
  server.login = (asked, count) => {
    gates
      .pass(() => asked.answer(200, { access_token: `T${count}`, instance_url: server.url }))
      .catch(() => asked.cut());
  };
  // Not the one that an earlier round has put in: it would answer, too.
  const push = Array.prototype.push.bind(server.asked);
  server.asked.push = (...all) => {
    for (const asked of all) {
      gates
        .pass(() => {
          if (asked.path.endsWith('/userinfo')) asked.answer(200, { organization_id: '00D', user_id: '005' });
          else if (!expired) {
            expired = true;
            asked.answer(401);
          } else if (asked.path.endsWith('/limits')) asked.answer(200, {});
          else {
            const { records: sent, compositeRequest } = JSON.parse(asked.body) as Sent & {
              compositeRequest?: { body: Sent }[];
            };
            const parts = compositeRequest?.map(({ body }) => ({
              httpStatusCode: 200,
              body: rowsOf(body.records),
            }));
            asked.answer(200, parts ? { compositeResponse: parts } : rowsOf(sent));
          }
        })
        .catch(() => asked.cut());
    }
    return push(...all);
  };
}

function open(): OrgSession {
  return new OrgSession({
    config: { auth: 'file', credentialsPath: join(folder.path, 'org.json') },
    secrets: {},
    pauses: PAUSES,
    timeout: 5_000,
  });
}

/** Nothing of it goes on: no connection, and no further request a while later. */
async function isOver(): Promise<void> {
  await until(() => server.connections() === 0, {
    interval: 1,
    timeout: 2_000,
    what: 'connections to be closed',
  });
  const before = server.asked.length + server.logins.length;
  await new Promise((resolve) => setTimeout(resolve, 20));
  assert.equal(server.asked.length + server.logins.length, before, 'nothing is asked afterwards');
}

describe('stopped at each of its awaits', () => {
  test('a session: what was asked has failed or is answered, and nothing is asked any more', async () => {
    const stops = await stopAtEach((gates) => {
      answerThrough(gates);
      const session = open();
      session.connect();
      const asked = Promise.allSettled([
        session.request('POST', '/composite/sobjects', { body: { records: [1] } }),
        session.get('/limits'),
      ]);
      return async () => {
        session.close();
        const results = await asked;
        for (const result of results)
          if (result.status === 'rejected')
            assert.ok(result.reason instanceof OrgOutage, String(result.reason));
        assert.equal(session.underWay, 0);
        await isOver();
      };
    });
    assert.ok(stops >= 3, `stopped ${stops} times`);
  });

  test('a session that is held: no probe, no login, no timer is left', async () => {
    const stops = await stopAtEach((gates) => {
      answerThrough(gates);
      const session = open();
      session.availability.begin(session.budgetOutage());
      return async () => {
        session.close();
        await isOver();
      };
    });
    assert.ok(stops >= 3, `stopped ${stops} times`);
  });

  test('a session in the middle of reading its credentials logs in no more', async () => {
    const session = open();
    const refused = assert.rejects(session.login(), { code: 'CLOSED' });
    session.close();
    await refused;
    await isOver();
    assert.equal(server.logins.length, 0);
  });

  for (const onOutage of ['hold', 'fail'] as const)
    test(`a writer that ${onOutage}s: each message is answered once, within the limit`, async () => {
      const stops = await stopAtEach((gates) => {
        answerThrough(gates);
        const session = open();
        const options = { records: 2, maxRequests: 2, linger: 0, coalesce: false, onOutage };
        const writer = new Writer(session, { ...options, retry: { first: 1, longest: 2, times: 2 } });
        let paused = 0;
        const pause = () => {
          paused++;
          return () => void paused--;
        };
        const answered: string[] = [];
        const messages = [...records(5), [record(7), record(8), record(9)]].map((payload, n) => {
          const operation = n % 2 ? ('create' as const) : ('upsert' as const);
          const request = {
            operation,
            sobject: 'Contact',
            externalIdField: 'Key__c',
            allOrNone: false,
            payload,
          };
          return writer.write(request, pause).then(
            () => answered.push('ok'),
            (error: { code: string }) => answered.push(error.code),
          );
        });
        return async () => {
          await writer.close(50);
          await turn();
          assert.equal(answered.length, messages.length, 'when it is closed every message is answered');
          const expected = [
            'ok',
            'NODE_CLOSED',
            'AMBIGUOUS_WRITE',
            'ECONNRESET',
            'CLOSED',
            'ORG_UNREACHABLE',
          ];
          for (const code of answered) assert.ok(expected.includes(code), code);
          assert.equal(paused, 0, 'no clock stands still');
          session.close();
          await isOver();
        };
      });
      assert.ok(stops >= 3, `stopped ${stops} times`);
    });

  test('a hold: whatever its probe comes to', async () => {
    await stopAtEach((gates) => {
      let probes = 0;
      const availability: Availability = new Availability(
        () =>
          gates.pass(() => {
            if (++probes < 3) throw new OrgOutage('limit', 'L', 'l', false);
          }),
        () => undefined,
        PAUSES,
      );
      availability.begin(new OrgOutage('login', 'X', 'x', false));
      return async () => {
        availability.close();
        const before = probes;
        await new Promise((resolve) => setTimeout(resolve, 120));
        assert.ok(probes <= before + 1, 'only the probe that was under way');
      };
    });
  });
});
