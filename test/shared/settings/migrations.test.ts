import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { migrate } from '../../../nodes/shared/settings/migrations';
import { declare, parseSettings } from '../../../nodes/shared/settings/settings';
import { duration, text } from '../../../nodes/shared/settings/kinds';

/** Seconds became durations in 1, nothing but additions came in 2, and a property was renamed in 3. */
const steps = {
  1: (config: Readonly<Record<string, unknown>>) =>
    typeof config['wait'] === 'number' ? { ...config, wait: `${config['wait']}s` } : config,
  3: ({ url, ...rest }: Readonly<Record<string, unknown>>) => ({ ...rest, address: url }),
};
const node = { type: 'a-node', version: 3, migrations: steps };

describe('settings of an older version', () => {
  test('go through each step that they have not been through, in order', () => {
    const expected = { wait: '5s', address: 'x', version: 3 };
    assert.deepEqual(migrate(node, { wait: 5, url: 'x' }), expected);
    assert.deepEqual(migrate(node, { wait: '5s', url: 'x', version: 1 }), expected);
    assert.deepEqual(migrate(node, { wait: 5, url: 'x', version: 2 }), { ...expected, wait: 5 });
  });

  test('are not changed themselves', () => {
    const old = Object.freeze({ wait: 5, url: 'x' });
    migrate(node, old);
    assert.deepEqual(old, { wait: 5, url: 'x' });
  });

  test('are read as the present ones', () => {
    const declared = declare('a-node', 3, { wait: duration('1s'), address: text('') }, steps);
    assert.deepEqual(parseSettings(declared, { wait: 5, url: 'x' }), { wait: 5_000, address: 'x' });
  });

  test('are the same however many steps at a time they are brought up', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 3 }), fc.integer(), fc.string(), (stop, wait, url) => {
        const half = migrate({ ...node, version: stop }, { wait, url });
        assert.deepEqual(migrate(node, half), migrate(node, { wait, url }));
      }),
    );
  });
});

test('settings of the present version are left as they are', () => {
  const present = { wait: 5, version: 3 };
  assert.equal(migrate(node, present), present);
});

test('settings of a newer version are refused, with the way out', () => {
  assert.throws(() => migrate(node, { version: 4 }), {
    code: 'NEWER_VERSION',
    retryable: false,
    message: /this a-node have version 4, and this pack knows them up to 3: update the pack/,
  });
});

test('what is no version is refused', () => {
  for (const version of ['3', -1, 1.5, {}, true])
    assert.throws(() => migrate(node, { version }), { code: 'INVALID_SETTING', retryable: false });
  assert.deepEqual(migrate(node, { version: null, url: 'x' })['address'], 'x');
});
