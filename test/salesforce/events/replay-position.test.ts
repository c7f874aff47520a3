import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, mock, test } from 'node:test';
import { StoredPosition } from '../../../nodes/salesforce/events/replay-position';
import { watchHeartbeat } from '../../support/heartbeat';
import { gate, turns } from '../../shared/flow/runtime';
import { Kept } from './kept';

watchHeartbeat(5_000);

const stored = { organizationId: 'org', topic: '/event/A', replayId: 'AAAB', at: 5 };
const MINUTE = 60_000;

let kept: Kept;
let position: StoredPosition;
let told: unknown[];
let clock: number;

beforeEach(() => {
  clock = 1_000;
  mock.method(performance, 'now', () => clock);
  kept = new Kept();
  told = [];
  position = open();
});
afterEach(() => mock.restoreAll());

const open = (): StoredPosition => {
  const handler = {
    failed: (error: unknown) => told.push((error as Error).message),
    taken: () => told.push(made.taken ? 'taken' : 'its own'),
  };
  const made: StoredPosition = new StoredPosition(kept, handler, 0);
  return made;
};
const load = () => position.load('org', '/event/A');
async function save(replayId: string): Promise<void> {
  position.save({ ...stored, replayId });
  await turns(4);
}
/** As another process does. */
const other = (replayId: string): void => kept.write(JSON.stringify({ ...stored, replayId, by: 'another' }));

test('a position is given as it was stored', async () => {
  await save('AAAC');
  assert.deepEqual(kept.position, { ...stored, replayId: 'AAAC' });
  assert.equal((await load())?.replayId, 'AAAC');
});

test('it is stored ten times a second at most, and at once where the node stops', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  position = new StoredPosition(kept, { failed: assert.fail, taken: assert.fail });
  await save('AAAC');
  await save('AAAD');
  assert.equal(kept.replayId, 'AAAC');
  t.mock.timers.tick(100);
  await turns(4);
  assert.equal(kept.replayId, 'AAAD');
  await save('AAAE');
  assert.equal(kept.replayId, 'AAAD');
  await position.stop();
  assert.equal(kept.replayId, 'AAAE');
});

test('one that version 0.1 has stored is one', async () => {
  kept.saved = JSON.stringify(stored);
  assert.deepEqual(await load(), stored);
  await save('AAAC');
  assert.deepEqual([kept.replayId, told], ['AAAC', []]);
});

for (const [what, text] of [
  ['nothing', undefined],
  ['no JSON', '{'],
  ['null', 'null'],
  ['a number', '5'],
  ['one of another org', JSON.stringify({ ...stored, organizationId: 'other' })],
  ['one of another topic', JSON.stringify({ ...stored, topic: '/event/B' })],
  ['one without a replay id', JSON.stringify({ ...stored, replayId: undefined })],
  ['one with an empty replay id', JSON.stringify({ ...stored, replayId: '' })],
  ['one with a replay id of another kind', JSON.stringify({ ...stored, replayId: 7 })],
  ['one without a time', JSON.stringify({ ...stored, at: null })],
] as const) {
  test(`${what} is no position, and is replaced by one`, async () => {
    kept.saved = text;
    assert.equal(await load(), undefined);
    await save('AAAC');
    assert.deepEqual([kept.replayId, told], ['AAAC', []]);
  });
}

test('a store that can’t be read is no empty store: its error is told', async () => {
  kept.onGet = () => Promise.reject(new Error('gone'));
  await assert.rejects(load(), /gone/);
});

test('a save that failed is told, and the next one is tried', async () => {
  kept.onPut = () => Promise.reject(new Error('full'));
  await save('AAAC');
  kept.onPut = () => undefined;
  await save('AAAD');
  assert.deepEqual([kept.replayId, told], ['AAAD', ['full']]);
});

describe('of another writer', () => {
  beforeEach(async () => {
    await load();
    await save('AAAC');
    other('AAAX');
  });

  test('the position is left alone, which is told once', async () => {
    for (const id of ['AAAD', 'AAAE', 'AAAF']) await save(id);
    assert.deepEqual([kept.replayId, position.taken, told], ['AAAX', true, ['taken']]);
  });

  test('it is looked at once a minute, however many events are finished', async () => {
    await save('AAAD');
    const { gets, saves } = kept;
    for (let i = 0; i < 20; i++) await save('AAAE');
    assert.deepEqual([kept.gets, kept.saves], [gets, saves]);
    clock += MINUTE;
    for (let i = 0; i < 20; i++) await save('AAAE');
    assert.deepEqual([kept.gets, kept.saves], [gets + 1, saves]);
  });

  test('nothing is written while it is moved, for as long as that may be', async () => {
    await save('AAAD');
    const { saves } = kept;
    for (let i = 0; i < 60; i++) {
      clock += MINUTE;
      if (i % 9 === 0) other(`AAA${i}`);
      await save('AAAE');
    }
    assert.deepEqual([kept.saves, told], [saves, ['taken']]);
  });

  test('it is written again when nobody has moved it for ten minutes, which is told', async () => {
    await save('AAAD');
    clock += 4 * MINUTE;
    other('AAAY');
    await save('AAAE');
    clock += 9 * MINUTE;
    await save('AAAF');
    assert.equal(kept.replayId, 'AAAY');
    clock += MINUTE;
    await save('AAAG');
    assert.deepEqual([kept.replayId, position.taken, told], ['AAAG', false, ['taken', 'its own']]);
    await save('AAAH');
    assert.equal(kept.replayId, 'AAAH');
  });

  test('it is written again when the position was deleted', async () => {
    await save('AAAD');
    clock += MINUTE;
    kept.write(undefined);
    await save('AAAE');
    assert.deepEqual([kept.replayId, told], ['AAAE', ['taken', 'its own']]);
  });

  test('one that comes back at the moment of the take-over keeps it', async () => {
    await save('AAAD');
    clock += 10 * MINUTE;
    kept.onPut = () => {
      kept.onPut = () => undefined;
      other('AAAZ');
    };
    await save('AAAE');
    assert.deepEqual([kept.replayId, position.taken, told], ['AAAZ', true, ['taken']]);
    clock += 9 * MINUTE;
    await save('AAAF');
    assert.equal(kept.replayId, 'AAAZ');
  });

  test('of two, exactly one goes on writing', async () => {
    kept = new Kept();
    const both = [open(), open()];
    for (const one of both) await one.load('org', '/event/A');
    // Both are of one process here: what each writes has to look like another's to the other.
    const { store } = kept;
    const own = store.put.bind(store);
    store.put = (key, value, revision, signal) =>
      own(key, value.replace(/"by":"[^"]*"/, `"by":"${Math.random()}"`), revision, signal);
    for (let i = 0; i < 20; i++)
      for (const one of both) {
        one.save({ ...stored, replayId: `AA${i}` });
        await turns(4);
      }
    assert.deepEqual(both.map(({ taken }) => taken).sort(), [false, true]);
    assert.deepEqual(told, ['taken']);
  });
});

describe('its own', () => {
  test('a write whose answer was lost is known again, and no other’s', async () => {
    kept.onWritten = () => Promise.reject(new Error('timeout'));
    await save('AAAC');
    kept.onWritten = () => undefined;
    await save('AAAD');
    assert.deepEqual([kept.replayId, told], ['AAAD', ['timeout']]);
  });

  test('a position that somebody has deleted is written anew', async () => {
    await save('AAAC');
    kept.write(undefined);
    await save('AAAD');
    assert.deepEqual([kept.replayId, told], ['AAAD', []]);
  });

  test('a store that always says that somebody was first is asked three times, and not for ever', async () => {
    kept.store.put = () => {
      kept.saves++;
      return Promise.resolve(undefined);
    };
    await save('AAAC');
    assert.deepEqual([kept.saves, position.taken], [3, false]);
  });
});

describe('stopping', () => {
  beforeEach(() => mock.timers.enable({ apis: ['setTimeout'] }));
  afterEach(() => mock.timers.reset());

  async function stopping(): Promise<{ over: boolean }> {
    const state = { over: false };
    void position.stop().then(() => (state.over = true));
    await turns(4);
    return state;
  }

  test('it waits for the save under way, and then closes the store', async () => {
    const slow = gate();
    kept.onPut = () => slow.opened;
    await save('AAAC');
    const state = await stopping();
    assert.deepEqual([state.over, kept.closed], [false, 0]);
    slow.open();
    await turns(6);
    assert.deepEqual([state.over, kept.closed, kept.replayId], [true, 1, 'AAAC']);
  });

  test('it waits 2 s for a save that hangs, and 2 s for a store that does', async () => {
    kept.onPut = () => gate().opened;
    kept.onClose = () => gate().opened;
    await save('AAAC');
    const state = await stopping();
    mock.timers.tick(1_999);
    await turns(4);
    assert.equal(kept.closed, 0);
    mock.timers.tick(1);
    await turns(4);
    assert.deepEqual([kept.closed, state.over], [1, false]);
    mock.timers.tick(2_000);
    await turns(4);
    assert.equal(state.over, true);
  });

  test('a save that waits for its store is given up then', async () => {
    let signal: AbortSignal | undefined;
    const { store } = kept;
    const put = store.put.bind(store);
    store.put = (key, value, revision, given) => {
      signal = given;
      return put(key, value, revision, given);
    };
    await save('AAAC');
    assert.equal(signal?.aborted, false);
    await stopping();
    assert.equal(signal?.aborted, true);
  });

  test('a store that can’t be closed is nobody’s trouble any more', async () => {
    kept.onClose = () => Promise.reject(new Error('gone'));
    assert.equal((await stopping()).over, true);
  });
});
