import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compileCodec } from '../../../nodes/salesforce/pubsub/avro';
import { compileConversion } from '../../../nodes/salesforce/pubsub/avro-convert';
import { eventFields } from '../../../nodes/salesforce/pubsub/avro-fields';
import { encode, encodeMessage } from '../../../nodes/salesforce/events/encoding';
import type { PublishMessage } from '../../../nodes/salesforce/events/queue';
import type { EventSchema } from '../../../nodes/salesforce/pubsub/schemas';
import { definition } from '../pubsub/played';

const json = definition('Text__c');
const fields = eventFields(json);
const codec = compileCodec(json);
const schema: EventSchema = { id: 's1', fields, convert: compileConversion('Order__e', fields), ...codec };
const messageWith = (...records: unknown[]): PublishMessage => ({
  arrivedAt: 0,
  records,
  ids: records.map((_, i) => `id-${i}`),
  results: records.map(() => undefined),
  open: records.length,
});

test('each record of a message is an event with its own id and place, in the order of the records', () => {
  const message = messageWith({ Text__c: 'a' }, { Text__c: 'b' });
  const events = encodeMessage(message, schema, 'user', 40);
  assert.deepEqual(
    events.map(({ index, order, id, schemaId }) => ({ index, order, id, schemaId })),
    [
      { index: 0, order: 40, id: 'id-0', schemaId: 's1' },
      { index: 1, order: 41, id: 'id-1', schemaId: 's1' },
    ],
  );
  assert.deepEqual(
    events.map(({ payload }) => codec.decode(payload).Text__c),
    ['a', 'b'],
  );
  for (const event of events) {
    assert.equal(event.message, message);
    const { notBefore, company, refusals, losses } = event;
    assert.deepEqual([notBefore, company, refusals, losses], [0, Infinity, 0, 0]);
  }
});

test('who publishes, and when, is filled in', (t) => {
  t.mock.method(Date, 'now', () => 77);
  const event = codec.decode(encode({ Text__c: 'a' }, schema, 'user'));
  assert.deepEqual(event, { CreatedDate: 77, CreatedById: 'user', Text__c: 'a' });
  assert.equal(codec.decode(encode({}, schema, undefined)).CreatedById, '');
});

test('one record that does not fit fails them all', () => {
  assert.throws(() => encodeMessage(messageWith({ Text__c: 'a' }, { Nonsense__c: 1 }), schema, 'user', 0), {
    code: 'UNKNOWN_FIELD',
    retryable: false,
  });
});

test('what the definition’s own coder refuses is an error in words, for good', () => {
  const strict = {
    ...schema,
    encode: () => {
      throw new Error('invalid "long"');
    },
  };
  assert.throws(() => encode({}, strict, 'user'), {
    code: 'FIELD_VALUE',
    retryable: false,
    message: 'The event does not fit its definition: invalid "long"',
  });
});

test('an event has 1 MB at most; a byte more is refused, for good, by its words', () => {
  const sized = (bytes: number) => ({ ...schema, encode: () => Buffer.alloc(bytes) });
  assert.equal(encode({}, sized(1_048_576), 'user').length, 1_048_576);
  assert.throws(() => encode({}, sized(1_048_577), 'user'), {
    code: 'EVENT_TOO_LARGE',
    retryable: false,
    message: /has 1048577 bytes, and Salesforce takes 1048576 at most/,
  });
});
