import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { until } from '../../support/until';
import { record, startWriting, turns } from '../fake-org';
import { contacts, startRig } from '../rig';

describe('a writer whose source has lost its turn', () => {
  test('sends nothing more of it, all at once; what is on its way counts, and others go on', async () => {
    const { org, write } = startWriting({ records: 1, maxRequests: 1 });
    const hold = { held: true };
    const [onItsWay, waits, behind] = [record(1), record(2), record(1)].map((one) => write(one, { hold }));
    const others = write(record(3));
    const call = await org.next();
    hold.held = false;
    await call.answer();
    assert.deepEqual(
      [onItsWay, waits, behind].map((one) => one?.state()),
      ['ok', 'TURN_LOST', 'TURN_LOST'],
    );
    assert.deepEqual((await org.next()).names, ['3']);
    await org.calls[0]?.answer();
    assert.equal(others.state(), 'ok');
    assert.equal(org.made, 2);
  });

  test('sends again what it has not lost, where both were to go together', async () => {
    const { org, write } = startWriting();
    const hold = { held: true };
    const lost = write(record(1), { hold });
    const kept = write(record(2));
    // Lost between the moment that makes the call and the one that sends it.
    let asked = 0;
    Object.defineProperty(hold, 'held', { get: () => ++asked <= 1 });
    assert.deepEqual((await org.next()).names, ['2']);
    await org.calls[0]?.answer();
    assert.deepEqual([lost.state(), kept.state()], ['TURN_LOST', 'ok']);
    assert.ok(asked > 1);
  });

  test('is asked again for a call that waited for the login', async (t) => {
    const rig = await startRig();
    t.after(() => rig.close());
    const hold = { held: true };
    const written = rig.write({ payload: contacts(1), hold }).catch(({ code }: { code: string }) => code);
    await turns(2);
    assert.deepEqual(rig.calls(), []);
    hold.held = false;
    assert.equal(await written, 'TURN_LOST');
    assert.deepEqual(rig.calls(), []);
  });

  test('aborts a Bulk job that is not closed yet', async (t) => {
    const rig = await startRig({ writer: { bulkFrom: 20, bulkSoonest: 15 } });
    t.after(() => rig.close());
    const hold = { held: true };
    const jobs = () => rig.org.requests().filter(({ path }) => path.includes('/jobs/ingest'));
    rig.org.faults.add({ match: { method: 'PUT' }, action: { delayMs: 200 } });
    const all = contacts(30).map((payload) =>
      rig.write({ payload, hold }).catch(({ code }: { code: string }) => code),
    );
    await until(() => jobs().some(({ method }) => method === 'POST'), { timeout: 10_000 });
    hold.held = false;
    assert.deepEqual([...new Set(await Promise.all(all))], ['TURN_LOST']);
    await until(() => jobs().some(({ method }) => method === 'PATCH'), { timeout: 10_000 });
    assert.deepEqual(jobs().filter(({ method }) => method === 'PATCH').length, 1);
    assert.equal(rig.org.records('Contact').length, 0);
  });
});
