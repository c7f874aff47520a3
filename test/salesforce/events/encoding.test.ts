import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compileCodec } from '../../../nodes/salesforce/pubsub/avro';
import { compileConversion } from '../../../nodes/salesforce/pubsub/avro-convert';
import { eventFields } from '../../../nodes/salesforce/pubsub/avro-fields';
import { encode, encodeEvent } from '../../../nodes/salesforce/events/encoding';
import { eventsOf, type PublishMessage } from '../../../nodes/salesforce/events/queue';
import type { EventSchema } from '../../../nodes/salesforce/pubsub/schemas';
import { definition } from '../pubsub/played';

const json = definition('Text__c');
const fields = eventFields(json);
const codec = compileCodec(json);
const schema: EventSchema = { id: 's1', fields, convert: compileConversion('Order__e', fields), ...codec };
test('an event is written by the definition, and knows by which', () => {
  const message: PublishMessage = {
    arrivedAt: 0,
    records: [{ Text__c: 'a' }, { Text__c: 'b' }],
    ids: ['id-0', 'id-1'],
    results: [undefined, undefined],
    open: 2,
  };
  const [, event] = eventsOf(message, 0);
  assert.ok(event);
  encodeEvent(event, schema, 'user');
  const { Text__c, CreatedById } = codec.decode(event.payload);
  assert.deepEqual([event.schemaId, Text__c, CreatedById], ['s1', 'b', 'user']);
});

test('who publishes, and when, is filled in', (t) => {
  t.mock.method(Date, 'now', () => 77);
  const event = codec.decode(encode({ Text__c: 'a' }, schema, 'user'));
  assert.deepEqual(event, { CreatedDate: 77, CreatedById: 'user', Text__c: 'a' });
  assert.equal(codec.decode(encode({}, schema, undefined)).CreatedById, '');
});

test('a record that does not fit is refused, for good', () => {
  assert.throws(() => encode({ Nonsense__c: 1 }, schema, 'user'), {
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
