import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FlowError } from '../../../nodes/shared/errors';
import { ReplayTurn } from '../../../nodes/shared/flow/replay-turn';
import type { Position, PositionStore } from '../../../nodes/shared/positions';

const signal = new AbortController().signal;

function storeIn(failing?: FlowError): PositionStore {
  let kept: Position | undefined;
  const answer = <T>(value: T): Promise<T> => (failing ? Promise.reject(failing) : Promise.resolve(value));
  return {
    get: () => answer(kept),
    put: (_key, value, revision) => {
      if (failing || revision !== (kept?.revision ?? 0)) return answer(undefined);
      kept = { value, revision: revision + 1 };
      return answer(kept.revision);
    },
  };
}

test('the turn is had as often as it is asked for, and the next one has it as soon as it is given back', async () => {
  const store = storeIn();
  const said: string[] = [];
  const [one, two] = [0, 1].map(() => new ReplayTurn(store, 'key', (_level, text) => void said.push(text)));
  await Promise.all([one?.take(signal), one?.take(signal)]);
  await one?.take(signal);
  await one?.release();
  await two?.take(signal);
  await two?.release();
  assert.deepEqual(said, []);
});

test('where the store may not be used that is said once, and nobody waits', async () => {
  const said: string[] = [];
  const store = storeIn(new FlowError('PERMISSION_DENIED', 'not yours'));
  const turn = new ReplayTurn(store, 'key', (_level, text) => void said.push(text));
  await turn.take(signal);
  await turn.take(signal);
  assert.equal(said.length, 1);
  assert.match(said[0] ?? '', /not yours/);
  await turn.release();
});

test('a store that is away lets nobody begin', async () => {
  const turn = new ReplayTurn(storeIn(new FlowError('TIMEOUT', 'away')), 'key', () => undefined);
  await assert.rejects(turn.take(signal), { code: 'TIMEOUT' });
  await turn.release();
});

test('nobody waits any more when the node is stopped', async () => {
  const store = storeIn();
  const holder = new ReplayTurn(store, 'key', () => undefined);
  await holder.take(signal);
  const stopping = new AbortController();
  const waiting = new ReplayTurn(store, 'key', () => undefined).take(stopping.signal);
  stopping.abort();
  await waiting;
  await holder.release();
});
