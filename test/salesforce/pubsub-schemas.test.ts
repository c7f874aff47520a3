import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, mock, test } from 'node:test';
import { EventSchemas } from '../../nodes/salesforce/pubsub-schemas';
import { definition, deferred, turns } from './pubsub-played';

const TOPIC = '/event/Order__e';
let schemas: EventSchemas;
let calls: string[];
let schemaId: string;
let canPublish: boolean;
let answers: () => void | Promise<void>;
let now: number;

beforeEach(() => {
  [calls, schemaId, canPublish, answers, now] = [[], 's1', true, () => undefined, 5];
  mock.method(performance, 'now', () => now);
  schemas = new EventSchemas({
    getTopic: async (topic) => {
      calls.push(topic);
      await answers();
      return { topic_name: topic, can_publish: canPublish, can_subscribe: true, schema_id: schemaId };
    },
    getSchema: async (id) => {
      calls.push(id);
      await answers();
      return { schema_id: id, schema_json: definition('A__c', ...(id === 's1' ? [] : ['B__c'])) };
    },
  });
});
afterEach(() => mock.restoreAll());

describe('a schema', () => {
  test('is asked for once, however many need it at the same moment, and never again', async () => {
    const [a, b] = await Promise.all([schemas.get('s1'), schemas.get('s1')]);
    assert.equal(a, b);
    assert.equal(await schemas.get('s1'), a);
    assert.deepEqual(calls, ['s1']);
    assert.equal(a.id, 's1');
    assert.deepEqual(
      a.fields.map(({ name }) => name),
      ['CreatedDate', 'CreatedById', 'A__c'],
    );
  });

  test('writes and reads events of its own, and names itself where a record does not fit', async () => {
    const schema = await schemas.get('s1');
    const convert = schema.convert;
    const values = convert({ A__c: 'x' }, { CreatedById: 'u', CreatedDate: 3 });
    assert.deepEqual(schema.decode(schema.encode(values)), { CreatedDate: 3, CreatedById: 'u', A__c: 'x' });
    assert.throws(
      () => convert({ B__c: 'x' }, { CreatedById: 'u', CreatedDate: 3 }),
      /^FlowError: Order__e has no field B__c/,
    );
  });

  test('that could not be asked for is asked for again by the next who needs it', async () => {
    answers = () => Promise.reject(new Error('gone'));
    await Promise.all([1, 2].map(() => assert.rejects(schemas.get('s1'), /gone/)));
    assert.deepEqual(calls, ['s1']);
    answers = () => undefined;
    await schemas.get('s1');
    assert.deepEqual(calls, ['s1', 's1']);
  });
});

describe('the schema of a topic', () => {
  test('is known once it was asked for; its age is that of the question', async () => {
    const slow = deferred();
    answers = () => slow.promise;
    const first = schemas.ofTopic(TOPIC);
    now = 100;
    slow.resolve();
    assert.equal((await first).askedAt, 5);
    assert.equal((await schemas.ofTopic(TOPIC)).schema.id, 's1');
    assert.deepEqual(calls, [TOPIC, 's1']);
  });

  test('is asked for by one call at a time', async () => {
    const slow = deferred();
    answers = () => slow.promise;
    const all = [schemas.refresh(TOPIC), schemas.refresh(TOPIC), schemas.ofTopic(TOPIC)];
    await turns();
    assert.deepEqual(calls, [TOPIC]);
    slow.resolve();
    const [a, b, c] = await Promise.all(all);
    assert.ok(a && a === b && a === c);
  });

  test('of another topic is another question', async () => {
    await Promise.all([schemas.refresh(TOPIC), schemas.refresh('/event/Other__e')]);
    assert.deepEqual(
      calls.filter((call) => call.startsWith('/')),
      [TOPIC, '/event/Other__e'],
    );
  });

  test('asked for again is what the topic has now', async () => {
    await schemas.ofTopic(TOPIC);
    schemaId = 's2';
    now = 50;
    assert.equal((await schemas.ofTopic(TOPIC)).schema.id, 's1');
    const renewed = await schemas.refresh(TOPIC);
    assert.deepEqual([renewed.schema.id, renewed.askedAt], ['s2', 50]);
    assert.equal((await schemas.ofTopic(TOPIC)).schema.id, 's2');
  });

  test('that could not be asked for is not known any more', async () => {
    await schemas.ofTopic(TOPIC);
    answers = () => Promise.reject(new Error('gone'));
    await assert.rejects(schemas.refresh(TOPIC), /gone/);
    await assert.rejects(schemas.ofTopic(TOPIC), /gone/);
    answers = () => undefined;
    assert.equal((await schemas.ofTopic(TOPIC)).schema.id, 's1');
  });

  test('that nobody may publish to is an error in words, worth another try', async () => {
    canPublish = false;
    await assert.rejects(schemas.ofTopic(TOPIC), {
      code: 'TOPIC_DENIED',
      retryable: true,
      message: /may not publish to \/event\/Order__e/,
    });
  });
});
