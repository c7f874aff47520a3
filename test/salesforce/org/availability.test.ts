import { describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { Availability, PROBE_PAUSES, type ProbePauses } from '../../../nodes/salesforce/org/availability';
import { OrgOutage, type OutageReason } from '../../../nodes/salesforce/org/outage';
import { outage, stopClock, turns } from '../fake-org';

type Clock = ReturnType<typeof stopClock>;

function begin(pauses?: ProbePauses) {
  const seen = { probes: 0, changes: 0 };
  let end: (error?: Error) => void = () => undefined;
  const availability = new Availability(
    () => {
      seen.probes++;
      return new Promise<void>((resolve, reject) => {
        end = (error) => (error ? reject(error) : resolve());
      });
    },
    () => seen.changes++,
    pauses,
  );
  return {
    availability,
    seen,
    /** Ends the probe that is under way. */
    answer: async (error?: Error) => {
      end(error);
      await turns();
    },
    /** Lets time pass until a probe goes out, and gives how long that took. */
    nextProbe: async (clock: Clock) => {
      const before = seen.probes;
      const { current } = availability;
      const pause = (current?.nextProbe ?? NaN) - Date.now();
      await clock.pass(pause - 1);
      assert.equal(seen.probes, before, 'no probe before its time');
      await clock.pass(1);
      assert.equal(seen.probes, before + 1);
      return pause;
    },
  };
}

describe('an org that is not to be used', () => {
  test('is told with the reason, the time and the next probe, and is well again after a probe', async (t) => {
    const clock = stopClock(t);
    const { availability, seen, answer, nextProbe } = begin();
    assert.equal(availability.current, undefined);
    availability.begin(outage('limit'));
    assert.deepEqual(availability.current, {
      reason: 'limit',
      code: 'CODE_limit',
      message: 'the org is limit',
      since: 1_000_000,
      nextProbe: 1_005_000,
    });
    assert.equal(seen.changes, 1);
    await nextProbe(clock);
    assert.ok(availability.current, 'while the probe is under way too');
    await answer();
    assert.equal(availability.current, undefined);
    assert.equal(seen.changes, 2);
    await clock.pass(1_000_000);
    assert.equal(seen.probes, 1);
  });

  test('has one probe at a time, however many saw the outage', async (t) => {
    const clock = stopClock(t);
    const { availability, seen, answer, nextProbe } = begin();
    for (let i = 0; i < 5; i++) availability.begin(outage());
    await nextProbe(clock);
    availability.begin(outage('login'));
    await clock.pass(60_000);
    assert.deepEqual([seen.probes, availability.current?.reason, seen.changes], [1, 'unreachable', 1]);
    await answer(outage());
    availability.begin(outage());
    await nextProbe(clock);
    assert.equal(seen.probes, 2);
  });

  test('is probed with pauses that double up to the longest, of the last reason', async (t) => {
    const clock = stopClock(t);
    const { availability, answer, nextProbe } = begin({
      ...PROBE_PAUSES,
      unreachable: [100, 450],
      budget: [1_000, 50_000],
    });
    availability.begin(outage());
    const pauses: number[] = [];
    for (const reason of ['unreachable', 'unreachable', 'unreachable', 'budget'] as const) {
      pauses.push(await nextProbe(clock));
      await answer(outage(reason));
    }
    assert.deepEqual(pauses, [100, 200, 400, 450]);
    assert.equal(await nextProbe(clock), 16_000);
    assert.equal(availability.current?.since, 1_000_000, 'it began when it began');
  });

  test('is left alone for as long as whoever answered says, and no longer than a quarter of an hour', async (t) => {
    const clock = stopClock(t);
    const saying = (wait: number) => new OrgOutage('unreachable', 'HTTP_429', 'busy', false, { wait });
    const { availability, answer, nextProbe } = begin({ ...PROBE_PAUSES, unreachable: [1_000, 2_000] });
    availability.begin(saying(90_000));
    assert.equal(await nextProbe(clock), 90_000);
    await answer(saying(86_400_000));
    assert.equal(await nextProbe(clock), 900_000);
    await answer(saying(1));
    assert.equal(await nextProbe(clock), 2_000);
  });

  test('never has its pauses overflow', async (t) => {
    const clock = stopClock(t);
    const { availability, answer, nextProbe } = begin({ ...PROBE_PAUSES, unreachable: [1, 2 ** 29] });
    availability.begin(outage());
    for (let i = 0; i < 1_100; i++) {
      await nextProbe(clock);
      await answer(outage());
    }
    assert.equal(await nextProbe(clock), 2 ** 29);
  });

  test('has pauses that differ by a fifth, so that processes do not probe together', (t) => {
    stopClock(t);
    for (const [random, pause] of [
      [0, 800],
      [1, 1_200],
    ] as const) {
      t.mock.method(Math, 'random', () => random);
      const { availability } = begin();
      availability.begin(outage());
      assert.equal(Math.round((availability.current?.nextProbe ?? 0) - Date.now()), pause);
      availability.close();
    }
  });

  test('is unreachable where the probe fails by something else', async (t) => {
    const clock = stopClock(t);
    const { availability, answer, nextProbe } = begin();
    availability.begin(outage('login'));
    await nextProbe(clock);
    await answer(new TypeError('no such thing'));
    assert.deepEqual(
      [availability.current?.reason, availability.current?.code, availability.current?.message],
      ['unreachable', 'ERROR', 'no such thing'],
    );
  });
});

test('pauses keep growing while probes get through but the work does not', async (t) => {
  const clock = stopClock(t);
  const { availability, answer, nextProbe } = begin();
  for (const pause of [1_000, 2_000, 4_000]) {
    availability.begin(outage());
    availability.worked();
    assert.equal(await nextProbe(clock), pause, 'what was under way says nothing of what comes');
    await answer();
  }
  availability.worked();
  availability.begin(outage());
  assert.equal(await nextProbe(clock), 1_000);
});

describe('closing', () => {
  test('leaves no timer, and nothing begins afterwards', async (t) => {
    const clock = stopClock(t);
    const { availability, seen } = begin();
    availability.begin(outage());
    availability.close();
    await clock.pass(1_000_000);
    assert.deepEqual([seen.probes, seen.changes], [0, 1]);
    const fresh = begin();
    fresh.availability.close();
    fresh.availability.begin(outage());
    assert.deepEqual([fresh.availability.current, fresh.seen.changes], [undefined, 0]);
  });

  for (const error of [undefined, outage()])
    test(`while a probe is under way that ${error ? 'fails' : 'gets through'} tells nobody, and is the last`, async (t) => {
      const clock = stopClock(t);
      const { availability, seen, answer, nextProbe } = begin();
      availability.begin(outage());
      await nextProbe(clock);
      availability.close();
      await answer(error);
      await clock.pass(1_000_000);
      assert.deepEqual([seen.probes, seen.changes], [1, 1]);
    });
});

test('an org that has none left, or may lock the user out, is asked rarely', () => {
  const expected: Record<OutageReason, [number, number]> = {
    unreachable: [1_000, 60_000],
    login: [5_000, 600_000],
    limit: [5_000, 900_000],
    budget: [30_000, 900_000],
  };
  assert.deepEqual(PROBE_PAUSES, expected);
});
