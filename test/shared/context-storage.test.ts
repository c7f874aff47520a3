import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { NodeAPI } from 'node-red';
import { contextIsConfigured, contextIsVolatile } from '../../nodes/shared/context-storage';

const red = (contextStorage?: unknown): NodeAPI => ({ settings: { contextStorage } }) as unknown as NodeAPI;

test('without contextStorage in settings.js a context is in memory, and ends with a deploy of its node', () => {
  assert.equal(contextIsConfigured(red()), false);
  assert.equal(contextIsVolatile(red()), true);
  assert.equal(contextIsConfigured(red({})), true);
});

test('the default store decides: by what it is, by the name of another, or as the only one', () => {
  const file = { module: 'localfilesystem' };
  const memory = { module: 'memory' };
  for (const [storage, inMemory] of [
    [{}, true],
    [{ default: file }, false],
    [{ default: memory }, true],
    [{ default: 'localfilesystem' }, false],
    [{ default: 'memory' }, true],
    [{ default: 'disk', disk: file, ram: memory }, false],
    [{ default: 'ram', disk: file, ram: memory }, true],
    [{ default: {} }, true],
    [{ default: { module: class Custom {} } }, false],
    [{ disk: file }, false],
    [{ ram: memory }, true],
    [{ disk: 'localfilesystem' }, false],
    [{ default: null }, false],
  ] as [Record<string, unknown>, boolean][])
    assert.equal(contextIsVolatile(red(storage)), inMemory, JSON.stringify(storage));
});
