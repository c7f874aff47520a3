import assert from 'node:assert/strict';
import { afterEach, describe, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { Suspects } from '../../../nodes/jetstream/consume/suspects';
import { until } from '../../support/until';

const rigs: Suspects<string>[] = [];
afterEach(() => rigs.splice(0).forEach((suspects) => suspects.withdraw()));

/** Suspects in the order of the alphabet, and what became of them. */
function rig() {
  const state = { quiet: true, begun: [] as string[], over: new Set<string>(), opened: 0, store: () => {} };
  const suspects = new Suspects<string>({
    order: (a, b) => a.localeCompare(b),
    isQuiet: () => state.quiet,
    begin: async (item) => {
      await new Promise<void>((resolve) => (state.store = resolve));
      state.begun.push(item);
    },
    isOver: (item) => state.over.has(item),
    reopen: () => turn(),
    opened: () => void state.opened++,
  });
  rigs.push(suspects);
  const stored = async (): Promise<void> => {
    await turn();
    state.store();
    await turn();
  };
  return { state, suspects, stored };
}

describe('what may have ended the process', () => {
  test('comes one at a time, in order, and then the flow is open again', async () => {
    const { state, suspects, stored } = rig();
    for (const item of ['b', 'c', 'a']) suspects.add(item);
    for (const [at, item] of ['a', 'b', 'c'].entries()) {
      await stored();
      suspects.look();
      await turn();
      assert.deepEqual(
        [state.begun, suspects.any, state.opened],
        [['a', 'b', 'c'].slice(0, at + 1), true, 0],
      );
      state.over.add(item);
      suspects.look();
    }
    assert.deepEqual([suspects.any, state.opened], [true, 0], 'that has to be known first');
    await until(() => state.opened === 1);
    assert.equal(suspects.any, false);
  });

  test('waits until everything else has left the flow', async () => {
    const { state, suspects, stored } = rig();
    state.quiet = false;
    suspects.add('a');
    await stored();
    suspects.look();
    await stored();
    assert.deepEqual(state.begun, []);
    state.quiet = true;
    await until(() => (state.store(), state.begun.length === 1));
  });

  test('is not over before it is in the flow', async () => {
    const { state, suspects, stored } = rig();
    state.over.add('a');
    suspects.add('a');
    await turn();
    suspects.look();
    assert.deepEqual([state.begun, suspects.any], [[], true]);
    await stored();
    assert.deepEqual(state.begun, ['a']);
    await until(() => state.opened === 1);
  });

  test('that comes while the flow is about to be opened comes alone too', async () => {
    const { state, suspects, stored } = rig();
    state.over.add('a');
    suspects.add('a');
    await stored();
    suspects.add('b');
    await until(() => (state.store(), state.begun.length === 2));
    assert.deepEqual([suspects.any, state.opened], [true, 0]);
    state.over.add('b');
    await until(() => state.opened === 1);
  });

  test('is given back if it was not in the flow yet', async () => {
    const { suspects, stored } = rig();
    for (const item of ['b', 'a', 'c']) suspects.add(item);
    await stored();
    assert.deepEqual(suspects.withdraw(), ['b', 'c']);
  });
});
