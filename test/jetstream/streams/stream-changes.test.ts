import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import type { StreamConfig } from '../../../nodes/jetstream/streams/stream';
import { planStream } from '../../../nodes/jetstream/streams/stream-changes';
import { streamConflicts, type StreamDemand } from '../../../nodes/jetstream/streams/stream-conflicts';
import { covers } from '../../../nodes/jetstream/streams/subjects';
import { formatSize } from '../../../nodes/shared/size';

const LIMITS = ['max_age', 'max_bytes', 'max_msgs', 'max_msgs_per_subject', 'max_msg_size'] as const;
const limit = fc.constantFrom(undefined, -1, 1, 2, 1_000, 1e9, 60e9);
const subjects = fc.uniqueArray(fc.constantFrom('a', 'b', 'a.x', 'a.*', 'a.>', 'b.y', '*.z'), {
  minLength: 1,
});
const config: fc.Arbitrary<StreamConfig> = fc
  .record({
    subjects,
    max_age: limit,
    max_bytes: limit,
    max_msgs: limit,
    max_msgs_per_subject: limit,
    max_msg_size: limit,
    duplicate_window: fc.constantFrom(undefined, 1e9, 2e9, 120e9),
    retention: fc.constantFrom('limits', 'interest', 'workqueue'),
    discard: fc.constantFrom('old', 'new'),
    storage: fc.constantFrom('file', 'memory'),
    num_replicas: fc.constantFrom(1, 3),
    deny_delete: fc.boolean(),
    deny_purge: fc.boolean(),
    allow_rollup_hdrs: fc.boolean(),
    allow_direct: fc.boolean(),
  })
  .map((options) => ({ name: 's', ...options }) as StreamConfig);
const reach = (value: number | undefined): number => (value !== undefined && value > 0 ? value : Infinity);
const after = (existing: StreamConfig, wanted: StreamConfig, narrow = false): StreamConfig => ({
  ...existing,
  ...planStream(existing, wanted, narrow).update,
});

describe('planStream', () => {
  test('takes nothing away: no subject, no room, no choice of others', () => {
    fc.assert(
      fc.property(config, config, (existing, wanted) => {
        const result = after(existing, wanted);
        for (const each of existing.subjects ?? [])
          assert.ok(
            result.subjects?.some((subject) => covers(subject, each)),
            each,
          );
        for (const name of LIMITS) assert.ok(reach(result[name]) >= reach(existing[name]), name);
        assert.ok((result.duplicate_window ?? 0) >= (existing.duplicate_window ?? 0));
        for (const name of [
          'retention',
          'discard',
          'storage',
          'num_replicas',
          'deny_delete',
          'deny_purge',
        ] as const)
          assert.equal(result[name], existing[name], name);
        assert.equal(result.allow_rollup_hdrs, existing.allow_rollup_hdrs);
      }),
    );
  });

  test('what is not as asked afterwards is named, and nothing else', () => {
    fc.assert(
      fc.property(config, config, (existing, wanted) => {
        const result = after(existing, wanted);
        const named = planStream(existing, wanted, false).kept.map(({ option }) => option);
        const differing = planStream(result, wanted, true).changes.map(({ option }) => option);
        assert.deepEqual(
          named,
          differing.filter((option) => option !== 'subjects'),
        );
        for (const each of wanted.subjects ?? [])
          assert.ok(
            result.subjects?.some((subject) => covers(subject, each)),
            each,
          );
      }),
    );
  });

  test('done once, there is nothing left to do; with narrow it is as asked', () => {
    fc.assert(
      fc.property(config, config, fc.boolean(), (existing, wanted, narrow) => {
        const result = after(existing, wanted, narrow);
        assert.deepEqual(planStream(result, wanted, narrow).changes, []);
        if (narrow) assert.deepEqual(planStream(existing, wanted, true).kept, []);
      }),
    );
  });

  test('whoever comes first, two nodes end with the same subjects and limits', () => {
    fc.assert(
      fc.property(config, config, config, (existing, a, b) => {
        const [one, other] = [after(after(existing, a), b), after(after(existing, b), a)];
        assert.deepEqual(new Set(one.subjects), new Set(other.subjects));
        for (const name of LIMITS) assert.equal(reach(one[name]), reach(other[name]), name);
      }),
    );
  });

  test('differences are in words', () => {
    const existing: StreamConfig = { name: 's', max_age: 90e9, max_bytes: 2 ** 31, max_msg_size: 1_500 };
    const { changes, kept } = planStream(
      existing,
      { name: 's', max_age: 0, max_bytes: 1_000, max_msg_size: -1, deny_purge: true, compression: 's2' },
      false,
    );
    assert.deepEqual(changes, [
      { option: 'max_age', from: '1m 30s', to: '' },
      { option: 'max_msg_size', from: '1500 bytes', to: '' },
      { option: 'compression', from: 'none', to: 's2' },
    ]);
    assert.deepEqual(kept, [
      { option: 'max_bytes', from: '2GiB', to: '1000 bytes' },
      { option: 'deny_purge', from: 'off', to: 'on' },
    ]);
    assert.deepEqual([3 * 2 ** 40, 64 * 2 ** 20, 1_025].map(formatSize), ['3TiB', '64MiB', '1025 bytes']);
  });
});

describe('streamConflicts', () => {
  const demand = (settings: StreamDemand['settings'], narrow = false): StreamDemand => ({ settings, narrow });

  test('limits and choices that both name, and differently', () => {
    const a = demand({ maxAge: 1_000, maxMsgs: -1, storage: 'file', denyDelete: true, retention: undefined });
    const b = demand({
      maxAge: 2_000,
      maxMsgs: 0,
      storage: 'memory',
      denyDelete: false,
      retention: 'workqueue',
    });
    assert.deepEqual(streamConflicts(a, b), ['maxAge', 'storage']);
    assert.deepEqual(streamConflicts(a, a), []);
  });

  test('subjects add up, unless one node takes away those of the other', () => {
    const [a, b] = [{ subjects: ['s.a'] }, { subjects: ['s.b'] }];
    assert.deepEqual(streamConflicts(demand(a), demand(b)), []);
    assert.deepEqual(streamConflicts(demand(a, true), demand(b)), ['subjects']);
    assert.deepEqual(streamConflicts(demand(a), demand(b, true)), ['subjects']);
    assert.deepEqual(streamConflicts(demand({ subjects: ['s.>'] }, true), demand(b)), []);
    assert.deepEqual(streamConflicts(demand({}, true), demand(b)), []);
  });
});
