import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { InFlow } from '../../../nodes/jetstream/consume/in-flow';
import type { InFlightMessage, MessageBatch } from '../../../nodes/jetstream/consume/settlement';
import { Attempt, type Progress, type Settler } from '../../../nodes/shared/flow/settlement';

const SETTINGS = { prefetch: 2_000, maxAckPending: 1_000 };

interface Rig {
  inFlow: InFlow;
  share: number;
  enter(count: number): MessageBatch;
}

/** A consumer's messages in the flow, of whose `prefetch` it has a share that may change. */
function flow(settings = SETTINGS): Rig {
  const rig: Rig = {
    share: settings.prefetch,
    inFlow: new InFlow(settings, () => rig.share),
    enter(count) {
      const items = Array.from({ length: count }, () => ({}) as InFlightMessage);
      const batch = new Attempt(
        items,
        { noun: 'message', ack: () => undefined } as unknown as Settler<InFlightMessage>,
        (one) => rig.inFlow.left(one),
        (one) => rig.inFlow.gatheringChanged(one),
      );
      rig.inFlow.entered(batch);
      return batch;
    },
  };
  return rig;
}

const counts = ({ inFlow }: { inFlow: InFlow }): number[] => [inFlow.count, inFlow.gathered];

describe('what is in the flow', () => {
  test('is counted by messages, and what nodes gather apart, until it has ended', () => {
    const rig = flow({ prefetch: 1_000, maxAckPending: 1_000 });
    const [one, other] = [rig.enter(2), rig.enter(3)];
    one.gathering(true);
    assert.deepEqual(counts(rig), [5, 2]);
    one.succeeded();
    assert.deepEqual(counts(rig), [3, 0]);
    other.succeeded();
    assert.deepEqual(counts(rig), [0, 0]);
  });

  test('is not counted apart below a full request, nor where max ack pending allows less than that', () => {
    for (const settings of [
      { prefetch: 999, maxAckPending: 5_000 },
      { prefetch: 2_000, maxAckPending: 1_999 },
    ]) {
      const rig = flow(settings);
      rig.enter(1).gathering(true);
      assert.deepEqual(counts(rig), [1, 0]);
    }
  });

  test('leaves nothing behind, whatever share of prefetch the consumer has by then', () => {
    const rig = flow();
    rig.share = 1_000;
    const counted = rig.enter(5);
    counted.gathering(true);
    rig.share = 2_000;
    const uncounted = rig.enter(7);
    uncounted.gathering(true);
    assert.deepEqual(counts(rig), [12, 5]);
    rig.share = 1_000;
    uncounted.succeeded();
    rig.share = 2_000;
    counted.succeeded();
    assert.deepEqual(counts(rig), [0, 0]);
  });

  test('is quiet where all of it is held by an outage, or gathered for one that needs not be apart', () => {
    const rig = flow();
    assert.ok(rig.inFlow.isQuiet(true));
    const gathered = rig.enter(1);
    assert.ok(!rig.inFlow.isQuiet(false));
    gathered.gathering(true);
    assert.deepEqual([rig.inFlow.isQuiet(false), rig.inFlow.isQuiet(true)], [true, false]);
    gathered.progress = {
      held: true,
      heldSince: 5,
      unfinishedNodes: () => ['upsert'],
    } as unknown as Progress;
    assert.ok(rig.inFlow.isQuiet(true));
    assert.deepEqual(rig.inFlow.held(), { since: 5, message: 'Messages: 1, in upsert' });
    assert.equal(flow().inFlow.held(), undefined);
  });
});
