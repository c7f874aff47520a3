import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { FlowError } from '../../nodes/shared/errors';
import type { Fault } from '../org/control/faults';
import { TOPIC, order, startPubSubRig } from './pubsub-rig';

/** A message: how many events, which of them can't be published (-1: none), and how long to wait before it (ms). */
const message = fc.record({
  size: fc.oneof({ weight: 5, arbitrary: fc.integer({ min: 1, max: 5 }) }, fc.integer({ min: 1, max: 450 })),
  wrong: fc.oneof({ weight: 9, arbitrary: fc.constant(-1) }, fc.nat(4)),
  wait: fc.oneof({ weight: 3, arbitrary: fc.constant(0) }, fc.integer({ min: 1, max: 8 })),
});

const trouble = fc.constantFrom<Fault[]>(
  { match: { path: '/Publish' }, action: { grpc: { code: 'UNAVAILABLE' } }, times: 1 },
  { match: { path: '/Publish' }, action: { grpc: { code: 'UNAVAILABLE', when: 'after' } }, times: 1 },
  { match: { path: '/Publish' }, action: { grpc: { drop: true, when: 'after' } }, times: 1 },
  { match: { path: '/Publish' }, action: { grpc: { code: 'INTERNAL', when: 'after' } }, times: 3 },
  { match: { path: '/GetTopic' }, action: { grpc: { drop: true } }, times: 2 },
  { match: { topic: TOPIC }, action: { rowError: 'SERVER_BUSY' }, times: 3 },
);

const run = fc.record({
  messages: fc.array(message, { minLength: 1, maxLength: 25 }),
  // An event that is refused more than three times is given up, by right.
  faults: fc
    .array(trouble, { maxLength: 4 })
    .filter((faults) => faults.filter(({ action }) => action.rowError !== undefined).length < 2),
  maxRequests: fc.constantFrom(1, 4),
  staleSchema: fc.constantFrom('published', 'event error', 'call error'),
  changes: fc.boolean(),
});

test('whatever goes wrong, every event is published, at most twice for a lost answer, and each message is answered once', async () => {
  await fc.assert(
    fc.asyncProperty(run, async ({ messages, faults, maxRequests, staleSchema, changes }) => {
      const rig = await startPubSubRig({ org: { switches: { staleSchema } }, publisher: { maxRequests } });
      try {
        rig.org.faults.add(...faults);
        const answers: Promise<'published' | FlowError>[] = [];
        const expected: string[] = [];
        for (const [m, { size, wrong, wait }] of messages.entries()) {
          if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait));
          if (changes && m % 5 === 4)
            rig.org.declare({ name: 'OrderStatus__e', fields: [{ name: `Added${m}__c` }] });
          const events = Array.from({ length: size }, (_, i) =>
            order(`${m}.${i}`, i === wrong ? { Nonsense__c: 1 } : {}),
          );
          if (wrong < 0 || wrong >= size) expected.push(...events.map((event) => event.Order_ID__c));
          answers.push(
            rig.publish(...events).then(
              (results) => {
                assert.equal(results.length, size);
                assert.ok(results.every(({ success }) => success));
                return 'published';
              },
              (error: unknown) => error as FlowError,
            ),
          );
        }
        const outcomes = await Promise.all(answers);
        outcomes.forEach((outcome, m) => {
          const { size = 0, wrong = -1 } = messages[m] ?? {};
          if (wrong < 0 || wrong >= size) assert.equal(outcome, 'published');
          else assert.equal((outcome as FlowError).code, 'UNKNOWN_FIELD');
        });

        const seen = rig.org.events(TOPIC);
        const orders = seen.map(({ payload }) => String(payload?.Order_ID__c));
        const first = [...new Set(orders)];
        assert.deepEqual(new Set(first), new Set(expected));
        assert.ok(rig.requests().every((records) => records <= 200));
        const ids = new Map(seen.map(({ id, payload }) => [id, payload?.Order_ID__c]));
        assert.equal(ids.size, first.length, 'an event has one id however often it is published');
        const refused = faults.some(({ action }) => action.rowError !== undefined);
        const lost = faults.some(
          ({ action }) => (action.grpc as { when?: string } | undefined)?.when === 'after',
        );
        if (!lost) assert.equal(orders.length, first.length, 'nothing is doubled where no answer was lost');
        if (!refused)
          assert.deepEqual(first, expected, 'the order stays, however many requests are under way');
        assert.equal(rig.paused(), 0);
      } finally {
        await rig.close();
      }
    }),
    { numRuns: 40 },
  );
});
