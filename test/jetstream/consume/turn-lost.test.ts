import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import type { ConsumerSettings } from '../../../nodes/jetstream/consume/consumer-settings';
import { startOrg, type Org } from '../../org/org';
import { contact, WRITER } from '../../salesforce/rig';
import { startChild, type Child } from '../../support/child';
import { until } from '../../support/until';
import type { Room } from '../room';
import type { OrgProcess } from './org-process';
import { openWith, SETTINGS as DEFAULTS } from './rig';

const RECORDS = 6;

const SETTINGS: ConsumerSettings = { ...DEFAULTS, sharing: 'exclusive' };

interface Stage {
  room: Room;
  org: Org;
  /** A process that reads, and writes one record at a time. */
  start: () => Child;
  /** A state of each record. */
  send: (state: string) => Promise<void>;
  /** What each record is now. */
  states: () => unknown[];
  settled: () => Promise<unknown>;
}

async function stage(t: TestContext, latencyMs: number, settings = SETTINGS): Promise<Stage> {
  const room = await openWith(t);
  const org = await startOrg({ latencyMs });
  t.after(() => org.close());
  const { url, clientId, clientSecret } = org;
  const how: OrgProcess = {
    url: room.nats.url,
    org: { url, clientId, clientSecret },
    settings,
    writer: { ...WRITER, records: 1, maxRequests: 1 },
  };
  const args = ['--import=tsx', join(__dirname, 'org-process.ts'), JSON.stringify(how)];
  return {
    room,
    org,
    start: () => {
      const child = startChild(process.execPath, args);
      t.after(() => child.end('SIGKILL'));
      return child;
    },
    send: async (state) => {
      for (let n = 0; n < RECORDS; n++) await room.publish(`crm.contacts.${n}`, contact(n, { Title: state }));
    },
    states: () => org.records('Contact').map(({ Title }) => Title),
    settled: () =>
      until(
        async () => {
          const { num_pending, num_ack_pending } = await room.jsm.consumers.info('crm', 'flow');
          return num_pending + num_ack_pending === 0;
        },
        { timeout: 60_000, what: 'all to be acknowledged' },
      ),
  };
}

const says = (child: Child, line: string | RegExp, times = 1): Promise<unknown> =>
  until(
    () =>
      child.log.filter((each) => (typeof line === 'string' ? each === line : line.test(each))).length >=
      times,
    {
      timeout: 60_000,
      what: `${times} × ${String(line)} among\n${child.log.join('\n')}`,
    },
  );

const calls = (org: Org): number => org.requests().filter(({ path }) => path.includes('/composite')).length;

describe('an instance that loses its turn with writes that wait to be sent', () => {
  test('hangs, and sends none of them when it goes on: newer states of another stay', async (t) => {
    const { org, start, send, states, settled } = await stage(t, 200);
    const first = start();
    await says(first, 'is ready');
    const second = start();
    await says(second, 'is standby');
    await send('old');
    await until(() => calls(org) >= 2, { timeout: 20_000 });
    first.signal('SIGSTOP');
    await says(second, 'is ready');
    await send('new');
    await settled();
    assert.deepEqual(states(), Array(RECORDS).fill('new'));
    first.signal('SIGCONT');
    await says(first, /^(wrote|left) /, RECORDS);
    await says(first, 'is standby');
    assert.deepEqual(states(), Array(RECORDS).fill('new'), first.log.join('\n'));
    assert.ok(first.log.includes(`left ${RECORDS} TURN_LOST`));
    assert.ok(!first.log.some((line) => /^(warn|error): /.test(line)), 'nobody is told of it');
  });
});

describe('an instance that is killed -9 while its call is on the way to the org', () => {
  test('which carries it out after another has begun: the newer state of the record stays', async (t) => {
    const { room, org, start, states, settled } = await stage(t, 0);
    const first = start();
    await says(first, 'is ready');
    const second = start();
    await says(second, 'is standby');
    const late = { match: { path: '/composite' }, action: { delayMs: 3_000 }, times: 1 } as const;
    org.faults.add(late);
    await room.publish('crm.contacts.0', contact(0, { Title: 'old' }));
    const done = (): number =>
      org.requests().filter((call) => call.path.includes('/composite') && call.records > 0).length;
    await until(() => calls(org) === 1, { timeout: 20_000 });
    await first.end('SIGKILL');
    await room.publish('crm.contacts.0', contact(0, { Title: 'new' }));
    await room.publish('crm.contacts.1', contact(1, { Title: 'new' }));
    await settled();
    await until(() => done() === 4, { timeout: 20_000 });
    assert.deepEqual(states(), ['new', 'new']);
    const wrote = second.log.filter((line) => line.startsWith('wrote '));
    assert.deepEqual(wrote, ['wrote 1', 'wrote 3', 'wrote 2'], 'another record waits for nothing');
  });

  test('is followed after an orderly stop without any wait for what it wrote', async (t) => {
    const { room, start, states } = await stage(t, 0);
    const first = start();
    await says(first, 'is ready');
    const second = start();
    await says(second, 'is standby');
    await room.publish('crm.contacts.0', contact(0, { Title: 'old' }));
    await says(first, 'wrote 1');
    await first.end('SIGTERM');
    await room.publish('crm.contacts.0', contact(0, { Title: 'new' }));
    await room.publish('crm.contacts.0', contact(0, { Title: 'newer' }));
    await says(second, 'wrote 3');
    assert.ok(!second.log.includes('inherited'), second.log.join());
    assert.deepEqual(states(), ['newer']);
  });
});
