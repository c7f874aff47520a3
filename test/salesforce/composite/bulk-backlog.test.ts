import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Backlog, LOOK, MOST_ROWS } from '../../../nodes/salesforce/composite/bulk/backlog';

/** A backlog of 1,000 rows on, its source, and a clock that the test moves. */
function waitingFor() {
  let time = 0;
  let waiting = 0;
  const backlog = new Backlog(1_000, () => time);
  return {
    backlog,
    pass: (ms: number) => (time += ms),
    waits: (rows: number) => (waiting = rows),
    /** So many messages come, all or a share of them to us; others are behind them. */
    come: (rows: number, pending: number) => {
      waiting += rows;
      backlog.arrived(rows, pending);
    },
    /** A moment later. */
    look: (busy = false) => {
      time += LOOK;
      return backlog.look(waiting, busy);
    },
  };
}

describe('a backlog', () => {
  test('is waited for where its source promises enough, and goes when all of it is there', () => {
    const { come, look } = waitingFor();
    come(1, 2_499);
    assert.equal(look(), 'hold');
    come(1_499, 1_000);
    assert.equal(look(), 'hold');
    come(1_000, 0);
    assert.equal(look(), 'job');
  });

  test('that is too small is not waited for', () => {
    const { come, look } = waitingFor();
    come(1, 998);
    assert.equal(look(), 'go');
    come(999, 0);
    assert.equal(look(), 'job', 'nor is more than there is, once it is enough');
  });

  test('of a source that doesn’t tell is what waits', () => {
    const { backlog, look, waits } = waitingFor();
    backlog.arrived(999, undefined);
    waits(999);
    assert.equal(look(), 'go');
    backlog.arrived(1, undefined);
    waits(1_000);
    assert.equal(look(), 'job');
  });

  test('that stops coming goes as it is: as a job where it is enough', () => {
    for (const [rows, verdict] of [
      [900, 'go'],
      [1_100, 'job'],
    ] as const) {
      const { come, look } = waitingFor();
      come(1, 5_000);
      look();
      come(rows - 1, 4_000);
      const verdicts = Array.from({ length: 8 }, () => look());
      assert.equal(
        verdicts.find((one) => one !== 'hold'),
        verdict,
      );
      assert.ok(verdicts.indexOf(verdict) >= 3, 'a moment of silence is none');
    }
  });

  test('that comes too slowly is not waited for longer than 10 s, and the next one only after a pause', () => {
    const { come, look, pass, waits } = waitingFor();
    come(1, 50_000);
    let looks = 0;
    for (; look() === 'hold'; looks++) come(1, 49_999 - looks);
    assert.ok(looks * LOOK <= 11_000, `${looks} looks`);
    waits(1);
    come(1, 49_000);
    assert.equal(look(), 'go');
    pass(31_000);
    come(1, 48_000);
    assert.equal(look(), 'hold');
  });

  test('most of which goes elsewhere is not waited for', () => {
    const { come, look } = waitingFor();
    come(1, 9_000);
    assert.equal(look(), 'hold');
    // One in thirty comes this way: there will be 300.
    come(100, 6_000);
    assert.equal(look(), 'go');
  });

  test('that is more than one job takes goes in halves of that', () => {
    const { come, look } = waitingFor();
    come(1, 10 * MOST_ROWS);
    assert.equal(look(), 'hold');
    come(MOST_ROWS / 2, 9 * MOST_ROWS);
    assert.equal(look(), 'job');
  });

  test('waits for the job before it; what is left then goes as a job from a third of the size on', () => {
    const { backlog, come, look, waits } = waitingFor();
    come(1_200, 0);
    assert.equal(look(true), 'hold');
    assert.equal(look(false), 'job');
    waits(0);
    backlog.worked();
    come(300, 0);
    assert.equal(look(), 'go');
    come(100, 0);
    assert.equal(look(), 'job');
  });
});
