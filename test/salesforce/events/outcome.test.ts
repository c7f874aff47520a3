import assert from 'node:assert/strict';
import { test } from 'node:test';
import { OrgOutage } from '../../../nodes/salesforce/org/outage';
import { PubSubRefusal } from '../../../nodes/salesforce/pubsub/client';
import { asFlowError, limitSpent, notPublished, resultsOf } from '../../../nodes/salesforce/events/outcome';
import type { PublishMessage, PublishResult, QueuedEvent } from '../../../nodes/salesforce/events/queue';
import { FlowError } from '../../../nodes/shared/errors';

const TOPIC = '/event/Order__e';
const good: PublishResult = { replayId: 'AA', success: true };
const bad: PublishResult = { replayId: null, success: false, error: { code: 'X', message: 'm' } };
const message = (...results: (PublishResult | undefined)[]): PublishMessage => ({
  arrivedAt: 0,
  records: results.map(() => ({})),
  ids: [],
  results,
  open: 0,
});
const event = (records: number, index = 0) =>
  ({
    message: message(...Array.from({ length: records }, () => undefined)),
    index,
  }) as unknown as QueuedEvent;

test('an event that the org did not take is named by its place where there are several', () => {
  const error = { code: 'PUBLISH', message: 'busy' };
  assert.equal(
    notPublished(event(1), error, TOPIC).message,
    'The org did not publish the event to /event/Order__e (PUBLISH: busy)',
  );
  const { message, code, retryable } = notPublished(event(3, 2), error, TOPIC);
  assert.equal(message, 'The org did not publish event 2 of the message to /event/Order__e (PUBLISH: busy)');
  assert.deepEqual([code, retryable], ['PUBLISH', true]);
});

test('a spent limit is an outage, in which nothing was sent', () => {
  const { reason, code, sent, message } = limitSpent('LIMIT_EXCEEDED');
  assert.deepEqual([reason, code, sent], ['limit', 'LIMIT_EXCEEDED', false]);
  assert.match(message, /spent \(LIMIT_EXCEEDED\)/);
});

const failing = (failure: FlowError, ...results: (PublishResult | undefined)[]): FlowError => {
  try {
    resultsOf({ ...message(...results), failure }, TOPIC);
  } catch (error) {
    return error as FlowError;
  }
  assert.fail('it did not fail');
};

test('a message that was published gives its results', () => {
  assert.deepEqual(resultsOf(message(good, good), TOPIC), [good, good]);
});

test('a message of which nothing was published may be repeated if its failure says so', () => {
  const cause = new Error('cause');
  for (const retryable of [true, false]) {
    const failure = failing(new FlowError('X' as string, 'why', retryable, { cause }), bad, bad);
    assert.deepEqual([failure.code, failure.message, failure.retryable], ['X', 'why', retryable]);
    assert.equal(failure.cause, cause);
    assert.deepEqual(failure.details, [bad, bad]);
  }
});

test('a message of which anything was published may not: it would be published twice', () => {
  const failure = failing(new FlowError('X' as string, 'why', true), good, bad, good);
  assert.equal(failure.retryable, false);
  assert.equal(failure.message, 'why. 2 of 3 events were published to /event/Order__e');
  assert.deepEqual(failure.details, [good, bad, good]);
});

test('a message that failed before anything of it was sent has no results', () => {
  assert.equal(failing(new FlowError('X' as string, 'why'), undefined, undefined).details, undefined);
});

test('whatever was thrown is an error that a user can act on', () => {
  const outage = new OrgOutage('limit', 'L', 'm', false);
  assert.equal(asFlowError(outage), outage);
  const error = new FlowError('TOPIC_DENIED', 'no', true);
  assert.equal(asFlowError(new PubSubRefusal({ kind: 'topic', error })), error);
  const other = asFlowError(new TypeError('x is not y'));
  assert.deepEqual([other.code, other.retryable], ['INTERNAL', false]);
  assert.equal(other.message, 'The event could not be published: x is not y');
});
