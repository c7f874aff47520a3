import assert from 'node:assert/strict';
import { describe, mock, test } from 'node:test';
import type { Node } from 'node-red';
import {
  contextPositions,
  positionsInOne,
  PositionWriter,
  type PositionStore,
} from '../../nodes/shared/positions';
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

const { signal } = new AbortController();
const value = async (store: PositionStore, key = 'replay') => (await store.get(key, signal))?.value;

describe('positions in a context', () => {
  test('what was put is there, also for a node made anew', async () => {
    const context = contextNode('n1');
    const store = contextPositions(context.node, true);
    assert.equal(await store.get('replay', signal), undefined);
    assert.equal(await store.put('replay', '7', 0, signal), 1);
    assert.deepEqual(await store.get('replay', signal), { value: '7', revision: 1 });
    assert.equal(await store.put('replay', '8', 1, signal), 1);
    assert.equal(await value(contextPositions(context.node, true)), '8');
    assert.equal(await value(contextPositions(context.node, true), 'sync'), undefined);
  });

  test('a context that a deploy deletes is made up for by the process, where none is configured', async () => {
    const before = contextNode('n2');
    await contextPositions(before.node, false).put('replay', '7', 0, signal);
    assert.equal(before.values.get('replay'), '7');
    const after = contextNode('n2');
    assert.equal(await value(contextPositions(after.node, false)), '7');
    assert.equal(await value(contextPositions(after.node, true)), undefined, 'configured: what it says');
    assert.equal(await value(contextPositions(after.node, false), 'sync'), undefined);
    assert.equal(await value(contextPositions(contextNode('n3').node, false)), undefined);
    after.values.set('replay', '9');
    assert.equal(await value(contextPositions(after.node, false)), '9', 'the context goes first');
  });

  test('what is no text counts as nothing', async () => {
    const context = contextNode('n4');
    for (const stored of [7, null, {}, '']) {
      context.values.set('replay', stored);
      assert.equal(await value(contextPositions(context.node, true)), stored === '' ? '' : undefined);
    }
  });

  test('a store that fails is not taken for an empty one', async () => {
    const context = contextNode('n5');
    context.fault = new Error('disk full');
    for (const configured of [true, false]) {
      const store = contextPositions(context.node, configured);
      await assert.rejects(store.get('replay', signal), /disk full/);
      await assert.rejects(store.put('replay', '7', 0, signal), /disk full/);
    }
  });
});

describe('many positions in one text', () => {
  test('keys that a context would take for paths are as good as any', async () => {
    const context = contextNode('n6');
    const store = positionsInOne(contextPositions(context.node, true), 'sync');
    assert.equal(await store.get('id.salesforce:contact', signal), undefined);
    assert.equal(await store.put('id.salesforce:contact', 'a', 0, signal), 1);
    assert.equal(await store.put('id.control', 'b', 0, signal), 1);
    assert.deepEqual(await store.get('id.salesforce:contact', signal), { value: 'a', revision: 1 });
    assert.equal(context.values.get('sync'), '{"id.salesforce:contact":"a","id.control":"b"}');
    const again = positionsInOne(contextPositions(context.node, true), 'sync');
    assert.equal(await value(again, 'id.control'), 'b');
  });

  test('a text that is none of them, and a value that is no text, count as nothing', async () => {
    const context = contextNode('n7');
    for (const stored of ['', '{', 'null', '7', '{"a":7}']) {
      context.values.set('sync', stored);
      const store = positionsInOne(contextPositions(context.node, true), 'sync');
      assert.equal(await store.get('a', signal), undefined);
      await store.put('a', 'x', 0, signal);
      assert.equal(context.values.get('sync'), '{"a":"x"}');
    }
  });

  test('a store that could not be read is read again, and nothing is written before', async () => {
    const context = contextNode('n8');
    context.values.set('sync', '{"a":"1"}');
    context.fault = new Error('disk full');
    const store = positionsInOne(contextPositions(context.node, true), 'sync');
    await assert.rejects(store.get('a', signal), /disk full/);
    await assert.rejects(store.put('b', '2', 0, signal), /disk full/);
    delete context.fault;
    await store.put('b', '2', 0, signal);
    assert.equal(context.values.get('sync'), '{"a":"1","b":"2"}');
  });
});

/** A store whose saves end when the test wants. */
function slowStore() {
  const saves: { position: string; end: (error?: Error) => void }[] = [];
  const write = async (position: string): Promise<void> => {
    const { opened, open } = gate<Error | undefined>();
    saves.push({ position, end: (error) => open(error) });
    const error = await opened;
    if (error) throw error;
  };
  return { write, saves };
}

const unexpected = (error: unknown): void => assert.ifError(error);

describe('a writer of positions', () => {
  test('one save at a time, always the newest', async () => {
    const { write, saves } = slowStore();
    const writer = new PositionWriter(write, unexpected);
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
    const { write, saves } = slowStore();
    const writer = new PositionWriter(write, unexpected);
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
    const { write, saves } = slowStore();
    const failures: unknown[] = [];
    const writer = new PositionWriter(write, (error) => failures.push(error));
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
    const refuse = (): Promise<void> => Promise.reject(new Error('away'));
    const writer: PositionWriter<string> = new PositionWriter(refuse, () => {
      tries++;
      if (!over) writer.save('again');
    });
    writer.save('1');
    await turns(5);
    over = true;
    await writer.flush();
    assert.ok(tries > 0 && tries < 100, `${tries} tries in 5 turns`);
  });

  test('after a save it rests, and then saves the newest; flush saves at once', async () => {
    mock.timers.enable({ apis: ['setTimeout'] });
    const saved: string[] = [];
    const write = (position: string) => Promise.resolve(void saved.push(position));
    const writer = new PositionWriter<string>(write, unexpected, 100);
    for (const position of ['1', '2', '3']) {
      writer.save(position);
      await turns(2);
    }
    assert.deepEqual(saved, ['1']);
    mock.timers.tick(99);
    await turns(2);
    assert.deepEqual(saved, ['1']);
    mock.timers.tick(1);
    await turns(2);
    assert.deepEqual(saved, ['1', '3']);
    writer.save('4');
    await writer.flush();
    assert.deepEqual(saved, ['1', '3', '4']);
    writer.save('5');
    assert.deepEqual(saved, ['1', '3', '4', '5'], 'at once where nothing rests');
    await writer.flush();
    mock.timers.reset();
  });

  test('it ends, whichever save is under way when it is asked to', async () => {
    const saved: string[] = [];
    const calls = await stopAtEach((gates) => {
      const store = gates.wrap(
        { save: (position: string) => Promise.resolve(void saved.push(position)) },
        'save',
      );
      const writer = new PositionWriter<string>(
        (position) => store.save(position),
        () => undefined,
      );
      ['1', '2', '3'].forEach((position) => writer.save(position));
      return () => writer.flush();
    });
    assert.equal(calls, 2);
    assert.equal(saved.at(-1), '3');
  });
});
