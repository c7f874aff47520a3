import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Node } from 'node-red';
import { contextPositions, PositionWriter, type PositionStore } from '../../nodes/shared/positions';
import { watchHeartbeat } from '../support/heartbeat';
import { stopAtEach } from '../support/stops';
import { gate, turns } from './flow/runtime';

watchHeartbeat();

/** A context store that answers later, and fails where `fault` is set. */
function contextNode(id: string) {
  const values = new Map<string, unknown>();
  const state: { values: Map<string, unknown>; fault?: Error } = { values };
  const node = {
    id,
    context: () => ({
      get: (key: string, done: (error: Error | null, value?: unknown) => void) =>
        setImmediate(() => (state.fault ? done(state.fault) : done(null, values.get(key)))),
      set: (key: string, value: unknown, done: (error?: Error | null) => void) =>
        setImmediate(() => {
          if (state.fault) return done(state.fault);
          values.set(key, value);
          done();
        }),
    }),
  } as unknown as Node;
  return Object.assign(state, { node });
}

describe('positions in a context', () => {
  test('what was saved is loaded, also by a node made anew', async () => {
    const context = contextNode('n1');
    const store = contextPositions(context.node, 'replay', true);
    assert.equal(await store.load(), undefined);
    await store.save('7');
    assert.equal(await store.load(), '7');
    assert.equal(await contextPositions(context.node, 'replay', true).load(), '7');
    assert.equal(await contextPositions(context.node, 'sync', true).load(), undefined);
    await store.close();
  });

  test('a context that a deploy deletes is made up for by the process, where none is configured', async () => {
    const before = contextNode('n2');
    await contextPositions(before.node, 'replay', false).save('7');
    assert.equal(before.values.get('replay'), '7');
    const after = contextNode('n2');
    assert.equal(await contextPositions(after.node, 'replay', false).load(), '7');
    assert.equal(
      await contextPositions(after.node, 'replay', true).load(),
      undefined,
      'configured: what it says',
    );
    assert.equal(await contextPositions(after.node, 'sync', false).load(), undefined);
    assert.equal(await contextPositions(contextNode('n3').node, 'replay', false).load(), undefined);
    after.values.set('replay', '9');
    assert.equal(await contextPositions(after.node, 'replay', false).load(), '9', 'the context goes first');
  });

  test('what is no text counts as nothing', async () => {
    const context = contextNode('n4');
    for (const value of [7, null, {}, '']) {
      context.values.set('replay', value);
      assert.equal(
        await contextPositions(context.node, 'replay', true).load(),
        value === '' ? '' : undefined,
      );
    }
  });

  test('a store that fails is not taken for an empty one', async () => {
    const context = contextNode('n5');
    context.fault = new Error('disk full');
    for (const configured of [true, false]) {
      const store = contextPositions(context.node, 'replay', configured);
      await assert.rejects(store.load(), /disk full/);
      await assert.rejects(store.save('7'), /disk full/);
    }
  });
});

/** A store whose saves end when the test wants. */
function slowStore() {
  const saves: { position: string; end: (error?: Error) => void }[] = [];
  const store: PositionStore = {
    load: () => Promise.resolve(undefined),
    save: (position) => {
      const { opened, open } = gate<Error | undefined>();
      saves.push({ position, end: (error) => open(error) });
      return opened.then((error) => {
        if (error) throw error;
      });
    },
    close: () => Promise.resolve(),
  };
  return { store, saves };
}

const unexpected = (error: unknown): void => assert.ifError(error);

describe('a writer of positions', () => {
  test('one save at a time, always the newest', async () => {
    const { store, saves } = slowStore();
    const writer = new PositionWriter(store, unexpected);
    for (const position of ['1', '2', '3']) writer.save(position);
    assert.deepEqual(
      saves.map((save) => save.position),
      ['1'],
    );
    saves[0]?.end();
    await turns(2);
    assert.deepEqual(
      saves.map((save) => save.position),
      ['1', '3'],
    );
    saves[1]?.end();
    await writer.flush();
    assert.equal(saves.length, 2);
    writer.save('4');
    assert.equal(saves.length, 3);
  });

  test('flush waits for the latest', async () => {
    const { store, saves } = slowStore();
    const writer = new PositionWriter(store, unexpected);
    await writer.flush();
    writer.save('1');
    writer.save('2');
    let flushed = false;
    const flushing = writer.flush().then(() => (flushed = true));
    saves[0]?.end();
    await turns(2);
    assert.equal(flushed, false);
    saves[1]?.end();
    await flushing;
  });

  test('a save that failed is told, and the next one is tried all the same', async () => {
    const { store, saves } = slowStore();
    const failures: unknown[] = [];
    const writer = new PositionWriter(store, (error) => failures.push(error));
    writer.save('1');
    writer.save('2');
    const error = new Error('away');
    saves[0]?.end(error);
    await turns(2);
    assert.deepEqual(failures, [error]);
    assert.equal(saves[1]?.position, '2');
    saves[1]?.end(error);
    await writer.flush();
    assert.equal(failures.length, 2);
    writer.save('3');
    assert.equal(saves[2]?.position, '3');
  });

  test('a store that fails at once, and a caller that saves again at each failure, let the event loop turn', async () => {
    let tries = 0;
    let over = false;
    const store = { ...slowStore().store, save: () => Promise.reject(new Error('away')) };
    const writer: PositionWriter = new PositionWriter(store, () => {
      tries++;
      if (!over) writer.save('again');
    });
    writer.save('1');
    await turns(5);
    over = true;
    await writer.flush();
    assert.ok(tries > 0 && tries < 100, `${tries} tries in 5 turns`);
  });

  test('it ends, whichever save is under way when it is asked to', async () => {
    const saved: string[] = [];
    const calls = await stopAtEach((gates) => {
      const store = gates.wrap(
        { ...slowStore().store, save: (position: string) => Promise.resolve(void saved.push(position)) },
        'save',
      );
      const writer = new PositionWriter(store, () => undefined);
      ['1', '2', '3'].forEach((position) => writer.save(position));
      return () => writer.flush();
    });
    assert.equal(calls, 2);
    assert.equal(saved.at(-1), '3');
  });
});
