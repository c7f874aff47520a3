import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { record, startWriting, stopClock } from '../fake-org';

describe('a record that a process wrote that died', () => {
  for (const coalesce of [false, true])
    test(`is written at once, and newer only when its last call is over, ${coalesce ? '' : 'not '}merged`, async (t) => {
      const clock = stopClock(t);
      const { org, write } = startWriting({ coalesce });
      const inheritedUntil = performance.now() + 5_000;
      const old = write({ ...record(1), Title: 'old' }, { inheritedUntil });
      const newer = write({ ...record(1), Title: 'newer' }, { inheritedUntil });
      const newest = write({ ...record(1), Title: 'newest' });
      const other = write(record(2));
      const first = await org.next();
      assert.deepEqual(first.names, ['1', '2']);
      await first.answer();
      assert.deepEqual([old.state(), newer.state(), other.state()], ['ok', 'waits', 'ok']);
      write(record(3));
      assert.deepEqual((await org.next()).names, ['3'], 'others go on');
      await org.calls[0]?.answer();
      await clock.pass(4_999);
      assert.equal(org.made, 2);
      await clock.pass(1);
      const last = await org.next();
      assert.deepEqual(last.names, ['1']);
      await last.answer();
      if (newest.state() === 'waits') await (await org.next()).answer();
      assert.deepEqual([newer.state(), newest.state()], ['ok', 'ok']);
    });

  test('may be read meanwhile: what refers to it does not wait', async (t) => {
    stopClock(t);
    const { org, write } = startWriting();
    write({ Key__c: 'A', LastName: 'parent' }, { inheritedUntil: performance.now() + 5_000 });
    await (await org.next()).answer();
    write({ Key__c: 'B', LastName: 'child', ReportsTo: { Key__c: 'A' } });
    assert.deepEqual((await org.next()).names, ['child']);
  });
});
