import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, mock, test } from 'node:test';
import { compileCodec } from '../../../nodes/salesforce/pubsub/avro';
import { Publisher, type PublisherOptions } from '../../../nodes/salesforce/events/publisher';
import type { PublishResult } from '../../../nodes/salesforce/events/queue';
import type { ProducerEvent, PublishRequest } from '../../../nodes/salesforce/pubsub/messages';
import type { FlowError } from '../../../nodes/shared/errors';
import { watchHeartbeat } from '../../support/heartbeat';
import { Desk, deferred, position, results, rpc, turns, unreachable } from '../pubsub/played';

watchHeartbeat(5_000);

const TOPIC = '/event/Order__e';
let desk: Desk;
let publisher: Publisher;
let now: number;
let next: number;
let paused: number;
let changes: number;

beforeEach(() => {
  mock.timers.enable({ apis: ['setTimeout'] });
  now = 1_000;
  mock.method(performance, 'now', () => now);
  mock.method(Math, 'random', () => 0.5);
  desk = new Desk();
  desk.publisher = (request) => desk.accept(request);
  [next, paused, changes] = [0, 0, 0];
  publisher = start();
});
afterEach(async () => {
  const closing = publisher.close(0);
  await pass(1);
  await closing;
  desk.close();
  mock.timers.reset();
  mock.restoreAll();
});

function start(options: Partial<PublisherOptions> = {}): Publisher {
  const all = { topic: TOPIC, maxRequests: 1, onOutage: 'hold' as const, retry: { first: 100, times: 3 } };
  publisher = new Publisher(desk.pubsub, { ...all, ...options }, () => changes++);
  return publisher;
}
async function pass(ms: number): Promise<void> {
  now += ms;
  mock.timers.tick(ms);
  await turns(10);
}
/** Long enough for holds to end, step by step. */
async function wait(ms: number, step = 2): Promise<void> {
  for (let gone = 0; gone < ms; gone += step) await pass(step);
}

interface Answer {
  results?: PublishResult[];
  error?: FlowError;
  answers: number;
}
function publish(...records: unknown[]): Answer {
  const answer: Answer = { answers: 0 };
  const ids = records.map(() => `id-${next++}`);
  const pause = () => {
    paused++;
    return () => void paused--;
  };
  publisher.publish(records, ids, pause).then(
    (each) => Object.assign(answer, { results: each, answers: answer.answers + 1 }),
    (error: unknown) => Object.assign(answer, { error, answers: answer.answers + 1 }),
  );
  return answer;
}
const order = (n: number | string, more: object = {}) => ({ Order_ID__c: `O-${n}`, ...more });
const orders = (count: number, from = 0) => Array.from({ length: count }, (_, i) => order(from + i));
const each = (count: number, from = 0) => orders(count, from).map((one) => publish(one));
const range = (count: number, from = 0) => Array.from({ length: count }, (_, i) => `O-${from + i}`);
const read = ({ schema_id, payload }: ProducerEvent) =>
  compileCodec(desk.schemas.get(schema_id) ?? '').decode(payload);
const named = (events: ProducerEvent[]) => events.map((event) => read(event).Order_ID__c);
const published = () => named(desk.published);
/** Events of each request. */
const requests = () => desk.requests.map(({ events }) => named(events));
const sizes = () => desk.requests.map(({ events }) => events.length);
const ok = (answer: Answer | undefined) => {
  assert.equal(answer?.error, undefined);
  assert.equal(answer?.answers, 1);
  assert.ok(answer.results?.every(({ success }) => success));
};
const stream = () => desk.publishing.at(-1) ?? assert.fail('no stream is open');
const outage = () => desk.pubsub.availability.current;
/** Nothing is answered but by the test. */
const byHand = () => (desk.publisher = undefined);
/** The definition is known, and the stream open. */
async function warm(): Promise<void> {
  publish(order('first'));
  await turns(10);
}
const contains = (request: PublishRequest, n: number | string) => named(request.events).includes(`O-${n}`);

describe('a message', () => {
  test('has its result when the org has its event, by whom and as what it was published', async () => {
    const answer = publish(order(0, { Status__c: 'paid' }));
    await turns(10);
    assert.deepEqual(answer, { answers: 1, results: [{ replayId: position(0), success: true }] });
    const [event] = desk.published;
    assert.deepEqual([event?.id, event?.schema_id], ['id-0', 'schema-1']);
    const { Order_ID__c, Status__c, CreatedById } = read(event as ProducerEvent);
    assert.deepEqual([Order_ID__c, Status__c, CreatedById], ['O-0', 'paid', desk.session.userId]);
    assert.equal(desk.requests[0]?.topic_name, TOPIC);
  });

  test('has one result for each record, each its own, in the order of the records', async () => {
    byHand();
    const [a, b] = [publish(order(0), order(1)), publish(order(2))];
    await turns(10);
    stream().data(results(9, 4, 7));
    await turns();
    assert.deepEqual(
      a.results?.map(({ replayId }) => replayId),
      [position(9), position(4)],
    );
    assert.deepEqual(b.results, [{ replayId: position(7), success: true }]);
  });

  test('without records has no results, and nothing is sent', async () => {
    const answer = publish();
    await turns(10);
    assert.deepEqual(answer, { answers: 1, results: [] });
    assert.deepEqual(desk.requests, []);
  });

  test('that does not fit fails as a whole before anything of it is sent, for good, and no other does', async () => {
    const [before, wrong, after] = [
      publish(order(0)),
      publish(order(1), { Nonsense__c: 1 }, order(2)),
      publish(order(3)),
    ];
    await turns(10);
    ok(before);
    ok(after);
    assert.deepEqual([wrong.error?.code, wrong.error?.retryable, wrong.answers], ['UNKNOWN_FIELD', false, 1]);
    assert.equal(wrong.error?.details, undefined);
    assert.deepEqual(published(), ['O-0', 'O-3']);
  });

  test('that breaks the conversion itself fails for good as well', async () => {
    const wrong = publish({
      get Order_ID__c() {
        throw new Error('a trap');
      },
    });
    await turns(10);
    assert.deepEqual([wrong.error?.code, wrong.error?.retryable], ['INTERNAL', false]);
    assert.match(wrong.error?.message ?? '', /a trap/);
  });
});

describe('batches', () => {
  test('messages of the same moment go together', async () => {
    each(3);
    await turns(10);
    assert.deepEqual(sizes(), [3]);
  });

  test('an idle publisher sends at once; what comes meanwhile goes together when the answer is there', async () => {
    await warm();
    byHand();
    const first = publish(order(0));
    await turns();
    each(3, 1);
    await turns();
    assert.deepEqual(sizes(), [1, 1]);
    stream().data(results(1));
    await turns();
    ok(first);
    assert.deepEqual(sizes(), [1, 1, 3]);
  });

  test('another request starts beside one only when it is full, and no more than it may', async () => {
    start({ maxRequests: 3 });
    await warm();
    byHand();
    each(1);
    await turns();
    each(199, 1);
    await turns();
    assert.deepEqual(sizes(), [1, 1]);
    each(1, 200);
    await turns();
    assert.deepEqual(sizes(), [1, 1, 200]);
    each(450, 201);
    await turns();
    assert.deepEqual(sizes(), [1, 1, 200, 200]);
    assert.deepEqual(publisher.state, { requests: 3, events: 401, waiting: 250 });
    stream().data(results(0));
    await turns();
    assert.deepEqual(sizes(), [1, 1, 200, 200, 200]);
    assert.deepEqual(publisher.state, { requests: 3, events: 600, waiting: 50 });
  });

  test('a larger message is split, its results in order', async () => {
    const answer = publish(...orders(450));
    await wait(2);
    ok(answer);
    assert.deepEqual(sizes(), [200, 200, 50]);
    assert.deepEqual(
      answer.results?.map(({ replayId }) => replayId),
      Array.from({ length: 450 }, (_, i) => position(i)),
    );
  });

  test('a request has 3 MB at most', async () => {
    const payload = 'x'.repeat(900_000);
    const all = orders(7).map((one) => publish({ ...one, Status__c: payload }));
    await wait(4);
    all.forEach(ok);
    assert.deepEqual(sizes(), [3, 3, 1]);
  });

  test('an event above 1 MB fails its message by its words, and nothing of it is sent', async () => {
    const large = publish(order(0), order(1, { Status__c: 'x'.repeat(1_050_000) }));
    const other = publish(order(2));
    await turns(10);
    assert.deepEqual([large.error?.code, large.error?.retryable], ['EVENT_TOO_LARGE', false]);
    assert.match(large.error?.message ?? '', /has 10500\d\d bytes, and Salesforce takes 1048576 at most/);
    ok(other);
    assert.deepEqual(published(), ['O-2']);
  });

  test('messages are encoded for one request at a time: the org is at work while the next ones are', async () => {
    await warm();
    byHand();
    each(1_000);
    await turns();
    const encoded = mock.method((await desk.pubsub.schemas.ofTopic(TOPIC)).schema, 'encode');
    stream().data(results(...Array.from({ length: 200 }, (_, i) => i)));
    await turns();
    assert.equal(encoded.mock.callCount(), 200);
  });

  test('what the state shows is told when it changes', async () => {
    await warm();
    byHand();
    const before = changes;
    publish(order(0));
    await turns();
    assert.ok(changes > before);
    assert.deepEqual(publisher.state, { requests: 1, events: 1, waiting: 0 });
    stream().data(results(1));
    const middle = changes;
    await turns();
    assert.ok(changes > middle);
    assert.deepEqual(publisher.state, { requests: 0, events: 0, waiting: 0 });
  });

  test('what waits for its definition is shown as waiting', async () => {
    desk.onTopic = () => new Promise(() => undefined);
    publish(order(0), order(1));
    publish(order(2));
    await turns();
    assert.deepEqual(publisher.state, { requests: 0, events: 0, waiting: 3 });
  });
});

describe('the definition', () => {
  test('is asked for once, however many messages wait for it, and is known afterwards', async () => {
    each(50);
    await turns(10);
    publish(order(50));
    await turns(10);
    assert.deepEqual([desk.topicCalls, desk.schemaCalls], [1, 1]);
  });

  test('that is 60 s old is asked for again, and nothing waits for that', async () => {
    await warm();
    now += 60_000;
    ok(await publishedAnswer(0));
    assert.equal(desk.topicCalls, 1);
    now += 1;
    desk.onTopic = () => new Promise(() => undefined);
    ok(await publishedAnswer(1));
    assert.equal(desk.topicCalls, 2);
    ok(await publishedAnswer(2));
    assert.equal(desk.topicCalls, 2, 'once');
  });

  async function publishedAnswer(n: number): Promise<Answer> {
    const answer = publish(order(n));
    await turns(10);
    return answer;
  }

  test('is asked for again where a message has a field that it does not know, and those behind it wait', async () => {
    await warm();
    desk.define('schema-2', 'Order_ID__c', 'Status__c', 'New__c');
    const slow = deferred();
    desk.onTopic = () => slow.promise;
    now += 10;
    const [a, b, c] = [publish(order(0)), publish(order(1, { New__c: 'x' })), publish(order(2))];
    await turns(10);
    ok(a);
    assert.deepEqual([b.answers, c.answers], [0, 0]);
    slow.resolve();
    await turns(10);
    ok(b);
    ok(c);
    assert.deepEqual(published(), ['O-first', 'O-0', 'O-1', 'O-2']);
    assert.equal(read(desk.published[2] as ProducerEvent).New__c, 'x');
  });

  test('is not asked for again where it was since the message came: the field is just wrong', async () => {
    const wrong = publish({ Nonsense__c: 1 });
    now += 10;
    await turns(10);
    assert.equal(wrong.error?.code, 'UNKNOWN_FIELD');
    assert.equal(desk.topicCalls, 1);
  });

  test('is asked for once for a message with a wrong field', async () => {
    await warm();
    now += 10;
    const wrong = publish({ Nonsense__c: 1 });
    now += 10;
    await turns(10);
    assert.equal(wrong.error?.code, 'UNKNOWN_FIELD');
    assert.equal(desk.topicCalls, 2);
  });

  test('of another kind of fault is not asked for again', async () => {
    await warm();
    now += 10;
    const wrong = publish(order(0, { Status__c: {} }));
    await turns(10);
    assert.equal(wrong.error?.code, 'FIELD_VALUE');
    assert.equal(desk.topicCalls, 1);
  });

  test('that the org refuses fails all that waits, with its words; the next message asks again', async () => {
    desk.onTopic = () => {
      throw rpc('NOT_FOUND', 'topic.not.found');
    };
    const all = each(3);
    await turns(10);
    for (const { error } of all) assert.deepEqual([error?.code, error?.retryable], ['TOPIC_NOT_FOUND', true]);
    assert.equal(publisher.state.waiting, 0);
    desk.onTopic = () => undefined;
    const later = publish(order(3));
    await turns(10);
    ok(later);
  });

  test('that the user may not publish to is said', async () => {
    desk.canPublish = false;
    const answer = publish(order(0));
    await turns(10);
    assert.equal(answer.error?.code, 'TOPIC_DENIED');
  });

  test('that can’t be asked for just now holds the messages, in their order', async () => {
    desk.onTopic = () => {
      throw rpc('UNAVAILABLE');
    };
    const all = each(3);
    await turns(10);
    assert.equal(outage()?.reason, 'unreachable');
    assert.equal(paused, 3);
    desk.onTopic = () => undefined;
    await wait(20);
    all.forEach(ok);
    assert.equal(paused, 0);
    assert.deepEqual(published(), range(3));
  });

  test('that has changed is what waiting events are written by; one that it does not fit fails alone and is not sent', async () => {
    await warm();
    byHand();
    publish(order(0));
    await turns();
    const all = [publish(order(1)), publish(order(2, { Status__c: 'x' }), order(3)), publish(order(4))];
    await turns();
    desk.define('schema-2', 'Order_ID__c');
    stream().over(rpc('INVALID_ARGUMENT', 'publish.schema.changed'));
    await turns(10);
    stream().data(results(...Array.from({ length: desk.requests.at(-1)?.events.length ?? 0 }, (_, i) => i)));
    await turns(10);
    desk.publisher = (request) => desk.accept(request);
    await wait(4);
    const [a, wrong, b] = all;
    ok(a);
    ok(b);
    assert.equal(wrong?.error?.code, 'UNKNOWN_FIELD');
    assert.ok(!requests().slice(2).flat().includes('O-2'));
    assert.ok(desk.requests.slice(2).every(({ events }) => events.every((e) => e.schema_id === 'schema-2')));
  });

  test('that has changed under a refused request: an event that it does not fit is not sent any more', async () => {
    await warm();
    byHand();
    const [bad, good] = [publish(order(0, { Status__c: 'x' })), publish(order(1))];
    await turns();
    desk.define('schema-2', 'Order_ID__c');
    stream().over(rpc('INVALID_ARGUMENT', 'publish.schema.changed'));
    await turns(10);
    assert.deepEqual(requests().at(-1), ['O-1']);
    assert.equal(bad.error?.code, 'UNKNOWN_FIELD');
    stream().data(results(1));
    await turns();
    ok(good);
  });

  test('that comes only after the node was closed changes nothing', async () => {
    const slow = deferred();
    desk.onTopic = () => slow.promise;
    const answer = publish(order(0));
    await turns();
    await publisher.close(0);
    assert.equal(answer.error?.code, 'NODE_CLOSED');
    const before = changes;
    slow.resolve();
    await turns(10);
    assert.deepEqual([desk.requests, changes], [[], before]);
  });
});

describe('an event that the org did not take', () => {
  /** Refuses the event with the text, as often as told. */
  const refuse = (n: number, text: string, times = Infinity) => {
    desk.publisher = (request) => {
      const answer = desk.accept(request);
      answer.results.forEach((result, i) => {
        if (read(request.events[i] as ProducerEvent).Order_ID__c !== `O-${n}` || times <= 0) return;
        times--;
        desk.published.splice(desk.published.indexOf(request.events[i] as ProducerEvent), 1);
        Object.assign(result, results(text).results[0]);
      });
      return answer;
    };
  };

  test('is repeated alone after a pause, and each pause is twice the one before', async () => {
    await warm();
    refuse(1, 'SERVER_BUSY', 2);
    const all = each(3);
    await turns(10);
    ok(all[0]);
    ok(all[2]);
    await pass(99);
    assert.deepEqual(sizes(), [1, 3]);
    await pass(1);
    assert.deepEqual(sizes(), [1, 3, 1]);
    await pass(199);
    assert.deepEqual(sizes(), [1, 3, 1]);
    await pass(1);
    ok(all[1]);
    assert.deepEqual(requests().slice(2), [['O-1'], ['O-1']]);
    assert.deepEqual(
      new Set(desk.requests.slice(1).map(({ events }) => events.find((e) => named([e])[0] === 'O-1')?.id))
        .size,
      1,
    );
  });

  test('its pauses vary by a quarter, so that nodes do not repeat in step', async () => {
    for (const [random, pause] of [
      [0, 75],
      [0.98, 124],
    ] as const) {
      desk.requests.length = 0;
      mock.method(Math, 'random', () => random);
      refuse(1, 'SERVER_BUSY', 1);
      publish(order(1));
      await turns(10);
      await pass(pause - 1);
      assert.equal(desk.requests.length, 1);
      await pass(2);
      assert.equal(desk.requests.length, 2);
    }
  });

  test('a passing refusal, then the wall clock set back 30 s: sfdc-platform-event goes on', async () => {
    await warm();
    refuse(0, 'SERVER_BUSY', 1);
    const answer = publish(order(0));
    await turns(10);
    const wall = Date.now() - 30_000;
    mock.method(Date, 'now', () => wall);
    await pass(100);
    ok(answer);
  });

  test('four times fails its own message, to be tried later, and says what the org says', async () => {
    await warm();
    refuse(1, 'SERVER_BUSY');
    const all = each(3);
    await wait(1_000, 50);
    const [a, wrong, b] = all;
    ok(a);
    ok(b);
    assert.equal(sizes().length, 1 + 4);
    assert.deepEqual([wrong?.error?.code, wrong?.error?.retryable, wrong?.answers], ['PUBLISH', true, 1]);
    assert.equal(
      wrong?.error?.message,
      'The org did not publish the event to /event/Order__e (PUBLISH: SERVER_BUSY)',
    );
    assert.deepEqual(wrong.error.details, [
      { replayId: null, success: false, error: { code: 'PUBLISH', message: wrong.error.message } },
    ]);
    await wait(1_000, 100);
    assert.equal(sizes().length, 5);
  });

  test('of a message of which others were published: it is not to be repeated, and says which', async () => {
    await warm();
    refuse(1, 'SERVER_BUSY');
    const answer = publish(...orders(3));
    await wait(1_000, 50);
    assert.equal(answer.error?.retryable, false);
    assert.equal(
      answer.error?.message,
      'The org did not publish event 1 of the message to /event/Order__e (PUBLISH: SERVER_BUSY). 2 of 3 events were published to /event/Order__e',
    );
    assert.deepEqual(
      (answer.error?.details as PublishResult[]).map(({ success }) => success),
      [true, false, true],
    );
  });

  test('waits by default 0.5, 1 and 2 s', async () => {
    start({ retry: undefined });
    await warm();
    refuse(0, 'SERVER_BUSY');
    const answer = publish(order(0));
    await turns(10);
    for (const [i, pause] of [500, 1_000, 2_000].entries()) {
      await pass(pause - 1);
      assert.equal(sizes().length, 2 + i);
      await pass(1);
    }
    assert.equal(answer.error?.code, 'PUBLISH');
  });

  test('whose time comes while another request is under way goes when that is answered, and nothing turns meanwhile', async () => {
    await warm();
    refuse(0, 'SERVER_BUSY', 1);
    publish(order(0));
    await turns(10);
    byHand();
    publish(order(1));
    await turns(10);
    await pass(100);
    const before = changes;
    for (let i = 0; i < 10; i++) await pass(1);
    assert.deepEqual([changes, sizes()], [before, [1, 1, 1]]);
    stream().data(results(1));
    await turns();
    assert.deepEqual(requests().at(-1), ['O-0']);
  });

  test('lets what comes meanwhile go by', async () => {
    await warm();
    refuse(0, 'SERVER_BUSY', 1);
    publish(order(0));
    await turns(10);
    const other = publish(order(1));
    await turns(10);
    ok(other);
    await pass(100);
    assert.deepEqual(published(), ['O-first', 'O-1', 'O-0']);
  });

  test('because its definition is an old one goes at once by the new one, and that does not count', async () => {
    await warm();
    let stale = 0;
    desk.publisher = (request) => {
      if (request.events[0]?.schema_id !== desk.schemaId) {
        stale++;
        return results(...request.events.map(() => 'the schema is old'));
      }
      return desk.accept(request);
    };
    for (let i = 2; i < 8; i++) {
      desk.define(`schema-${i}`, 'Order_ID__c', 'Status__c', `New${i}__c`);
      const answer = publish(order(i));
      await turns(15);
      ok(answer);
    }
    assert.equal(stale, 6);
  });

  test('while its definition can’t be asked for counts like any other', async () => {
    await warm();
    refuse(0, 'SERVER_BUSY', 1);
    desk.onTopic = () => {
      throw rpc('UNAVAILABLE');
    };
    const answer = publish(order(0));
    await turns(10);
    assert.equal(outage(), undefined);
    await pass(99);
    assert.equal(answer.answers, 0);
    await pass(1);
    ok(answer);
  });

  test('nothing goes while it is not clear what comes back', async () => {
    start({ maxRequests: 4 });
    await warm();
    refuse(0, 'SERVER_BUSY', 1);
    const slow = deferred();
    desk.onTopic = () => slow.promise;
    each(1);
    await turns(10);
    const later = each(250, 1);
    await turns(10);
    assert.deepEqual(sizes(), [1, 1]);
    slow.resolve();
    await turns(10);
    assert.deepEqual(sizes().slice(0, 3), [1, 1, 200]);
    await wait(4);
    later.forEach(ok);
  });

  test('over the org’s limit waits, as does all behind it, and that does not count; what was taken is told', async () => {
    await warm();
    let left = 2;
    desk.publisher = (request) => {
      const answer = desk.accept(request);
      answer.results.forEach((result, i) => {
        if (left-- > 0) return;
        desk.published.splice(desk.published.indexOf(request.events[i] as ProducerEvent), 1);
        Object.assign(result, results('LIMIT_EXCEEDED: no more events').results[0]);
      });
      return answer;
    };
    const all = each(4);
    await turns(10);
    all.slice(0, 2).forEach(ok);
    assert.equal(outage()?.reason, 'limit');
    assert.match(
      outage()?.message ?? '',
      /limit for publishing events is spent \(LIMIT_EXCEEDED: no more events\)/,
    );
    await wait(100);
    assert.deepEqual([all[2]?.answers, all[3]?.answers], [0, 0]);
    left = 10;
    await wait(100);
    all.forEach(ok);
    assert.deepEqual(published(), ['O-first', ...range(4)]);
  });

  test('an answer with anything published says that the API is well, one without doesn’t', async () => {
    await warm();
    const worked = mock.method(desk.pubsub, 'worked');
    refuse(0, 'SERVER_BUSY', 1);
    each(1);
    await turns(10);
    assert.equal(worked.mock.callCount(), 0);
    each(1, 1);
    await turns(10);
    assert.equal(worked.mock.callCount(), 1);
    await pass(100);
  });
});

describe('a request whose answer is lost', () => {
  const ids = () => desk.requests.map(({ events }) => events.map(({ id }) => id));

  test('is sent again with the same ids, before all that came later', async () => {
    await warm();
    byHand();
    const [a, b] = [publish(order(0)), publish(order(1))];
    await turns();
    const later = publish(order(2));
    mock.method(Date, 'now', () => 5);
    stream().over();
    await turns(10);
    assert.equal(outage()?.code, 'STREAM_ENDED');
    desk.publisher = (request) => desk.accept(request);
    await wait(20);
    [a, b, later].forEach(ok);
    assert.deepEqual(ids().slice(1), [
      ['id-1', 'id-2'],
      ['id-1', 'id-2', 'id-3'],
    ]);
    const [, first, again] = desk.requests;
    assert.deepEqual(again?.events.slice(0, 2), first?.events, 'and as they were');
  });

  test('a second time, together with others that were lost once, is taken apart with them', async () => {
    await warm();
    let losses = 2;
    desk.publisher = (request) => (losses-- > 0 ? rpc('INTERNAL') : desk.accept(request));
    const a = publish(order(0));
    await turns(10);
    const b = publish(order(1));
    await wait(40);
    [a, b].forEach(ok);
    assert.deepEqual(sizes(), [1, 1, 2, 1, 1]);
  });

  test('while the definition was refused is sent again as it was', async () => {
    await warm();
    byHand();
    now += 60_001;
    desk.onTopic = () => {
      throw rpc('NOT_FOUND', 'topic.not.found');
    };
    const answer = publish(order(0));
    await turns(10);
    stream().over();
    desk.onTopic = () => undefined;
    desk.publisher = (request) => desk.accept(request);
    await wait(20);
    ok(answer);
  });

  test('has another number of results: it can’t be told whose they are', async () => {
    await warm();
    let first = true;
    desk.publisher = (request) => {
      if (!first) return desk.accept(request);
      first = false;
      return results(1);
    };
    const all = each(3);
    await turns(10);
    assert.ok(all.every(({ answers }) => answers === 0));
    assert.equal(outage()?.code, 'UNREADABLE_ANSWER');
    assert.match(outage()?.message ?? '', /has 1 results for 3 events/);
    await wait(20);
    all.forEach(ok);
    assert.deepEqual(published(), ['O-first', ...range(3)]);
  });

  test('twice is taken apart into halves, to find who spoils it; who does fails after 10 losses, the others don’t', async () => {
    await warm();
    desk.publisher = (request) => (contains(request, 2) ? rpc('INTERNAL') : desk.accept(request));
    const all = each(4);
    await wait(2_000, 4);
    const [a, b, bad, c] = all;
    [a, b, c].forEach(ok);
    assert.deepEqual([bad?.error?.code, bad?.error?.retryable], ['ORG_FAILED_REPEATEDLY', true]);
    assert.match(bad?.error?.message ?? '', /failed 10 times on this message/);
    const tries = requests().filter((names) => names.includes('O-2'));
    assert.equal(tries.length, 10);
    assert.deepEqual(
      tries.slice(0, 4).map(({ length }) => length),
      [4, 4, 2, 1],
    );
  });

  test('because nobody could be reached was not carried out: it waits as long as it takes', async () => {
    await warm();
    desk.publisher = () => rpc('UNAVAILABLE');
    const all = each(3);
    await wait(400, 4);
    assert.ok(desk.requests.length > 15);
    assert.ok(all.every(({ answers }) => answers === 0));
    assert.ok(
      sizes()
        .slice(1)
        .every((size) => size === 3),
      'and is not taken apart',
    );
    desk.publisher = (request) => desk.accept(request);
    await wait(40, 4);
    all.forEach(ok);
  });

  test('with several under way: all come back in their order, and nothing overtakes them', async () => {
    start({ maxRequests: 3 });
    await warm();
    byHand();
    const all = each(700);
    await turns(10);
    assert.deepEqual(sizes(), [1, 200, 200, 200]);
    stream().over(rpc('INTERNAL'));
    await turns(10);
    desk.publisher = (request) => desk.accept(request);
    await wait(40);
    all.forEach(ok);
    assert.deepEqual(published(), ['O-first', ...range(700)]);
  });
});

describe('several requests that fail together', () => {
  test('lead to one hold, and one probe at a time', async () => {
    start({ maxRequests: 3 });
    await warm();
    byHand();
    const all = each(600);
    await turns(10);
    let probes = 0;
    let most = 0;
    desk.onTopic = async () => {
      most = Math.max(most, ++probes);
      await turns(3);
      probes--;
      throw rpc('UNAVAILABLE');
    };
    const before = desk.topicCalls;
    const began = mock.method(desk.pubsub.ownAvailability, 'begin');
    stream().over(rpc('UNAVAILABLE'));
    await turns(10);
    const since = outage()?.since;
    assert.ok(since);
    assert.equal(began.mock.callCount(), 1);
    await wait(100);
    assert.equal(outage()?.since, since);
    assert.equal(most, 1);
    const pauses = desk.topicCalls - before;
    assert.ok(pauses >= 8 && pauses <= 16, `${pauses} probes in 100 ms, of 8 ms each`);
    desk.onTopic = () => undefined;
    desk.publisher = (request) => desk.accept(request);
    await wait(40);
    all.forEach(ok);
  });

  test('what is sent behind a refused request was not looked at: it goes again, in order, and is not blamed', async () => {
    start({ maxRequests: 3 });
    await warm();
    byHand();
    const all = each(600);
    await turns(10);
    stream().over(rpc('INVALID_ARGUMENT', 'publish.spoilt'));
    await turns(10);
    desk.publisher = (request) => desk.accept(request);
    await wait(40);
    // The stream of the second try was opened while nobody answered.
    for (const request of stream().written) stream().data(desk.accept(request));
    await wait(40);
    all.forEach(ok);
    assert.deepEqual(new Set(published()).size, 601);
    assert.equal(outage(), undefined);
  });
});

describe('a request that the org refuses as it stands', () => {
  test('is taken apart until the event that spoils it is found; it fails for good, the others are published in order', async () => {
    await warm();
    desk.publisher = (request) =>
      contains(request, 1) ? rpc('INVALID_ARGUMENT', 'publish.spoilt') : desk.accept(request);
    const all = each(8);
    await wait(20);
    const [a, bad, ...others] = all;
    [a, ...others].forEach(ok);
    assert.deepEqual([bad?.error?.code, bad?.error?.retryable], ['PUBLISH_SPOILT', false]);
    assert.deepEqual(published(), ['O-first', 'O-0', ...range(6, 2)]);
    assert.equal(outage(), undefined);
  });

  test('because its definition is an old one goes again as it is by the new one', async () => {
    await warm();
    desk.define('schema-2', 'Order_ID__c', 'Status__c', 'New__c');
    desk.publisher = (request) =>
      request.events.some(({ schema_id }) => schema_id === 'schema-1')
        ? rpc('INVALID_ARGUMENT', 'publish.stale')
        : desk.accept(request);
    const all = each(4);
    await wait(4);
    all.forEach(ok);
    assert.deepEqual(sizes(), [1, 4, 4]);
  });

  test('while the definition can’t be asked for waits, and is taken apart afterwards', async () => {
    await warm();
    let spoilt = true;
    desk.publisher = (request) => (spoilt ? rpc('INVALID_ARGUMENT', 'publish.spoilt') : desk.accept(request));
    desk.onTopic = () => {
      throw rpc('UNAVAILABLE');
    };
    const all = each(2);
    await turns(10);
    assert.equal(outage()?.reason, 'unreachable');
    assert.ok(all.every(({ answers }) => answers === 0));
    spoilt = false;
    desk.onTopic = () => undefined;
    await wait(20);
    all.forEach(ok);
  });

  test('while the org refuses to tell the definition is taken apart all the same', async () => {
    await warm();
    desk.publisher = (request) =>
      contains(request, 1) ? rpc('INVALID_ARGUMENT', 'publish.spoilt') : desk.accept(request);
    desk.onTopic = () => {
      throw rpc('INVALID_ARGUMENT');
    };
    const [good, bad] = each(2);
    await wait(4);
    ok(good);
    assert.equal(bad?.error?.code, 'PUBLISH_SPOILT');
  });

  test('because the topic is gone fails its messages, to be tried later; the next asks what the topic is', async () => {
    await warm();
    desk.publisher = () => rpc('NOT_FOUND', 'topic.not.found');
    const all = each(2);
    await turns(10);
    for (const { error } of all) assert.deepEqual([error?.code, error?.retryable], ['TOPIC_NOT_FOUND', true]);
    desk.publisher = (request) => desk.accept(request);
    const before = desk.topicCalls;
    const later = publish(order(2));
    await turns(10);
    ok(later);
    assert.equal(desk.topicCalls, before + 1);
  });

  test('where the stream can’t even be opened fails with that reason', async () => {
    await warm();
    await pass(30_000);
    desk.pubsub.open = () => Promise.reject(new Error('no such thing'));
    const answer = publish(order(0));
    await turns(10);
    assert.deepEqual([answer.error?.code, answer.error?.retryable], ['INTERNAL', false]);
    assert.match(answer.error?.message ?? '', /could not be published: no such thing/);
  });
});

describe('while the org is held', () => {
  test('messages wait, their clocks stand, and their order stays', async () => {
    await warm();
    byHand();
    const all = each(2);
    await turns();
    all.push(...each(2, 2));
    await turns();
    desk.onTopic = () => {
      throw rpc('UNAVAILABLE');
    };
    stream().over(rpc('UNAVAILABLE'));
    await turns(10);
    assert.equal(paused, 4);
    all.push(...each(2, 4));
    assert.equal(paused, 6);
    await wait(20);
    assert.equal(desk.requests.length, 2);
    assert.equal(publisher.state.waiting, 6);
    desk.onTopic = () => undefined;
    await wait(20);
    assert.deepEqual([paused, sizes()], [0, [1, 2, 6]], 'their clocks go on while they are under way');
    stream().data(desk.accept(desk.requests[2] as PublishRequest));
    await turns();
    all.forEach(ok);
    assert.deepEqual(published(), ['O-first', ...range(6)]);
  });

  test('again and again: each clock is stopped once and goes on once', async () => {
    await warm();
    desk.publisher = () => rpc('UNAVAILABLE');
    const answer = publish(order(0));
    for (let i = 0; i < 40; i++) {
      await pass(1);
      assert.equal(paused, outage() ? 1 : 0);
    }
    desk.publisher = (request) => desk.accept(request);
    await wait(20);
    ok(answer);
    assert.equal(paused, 0);
  });

  test('with onOutage fail everything fails at once, to be tried later: what is under way, waits, or comes', async () => {
    start({ onOutage: 'fail' });
    await warm();
    byHand();
    const all = each(1);
    await turns();
    all.push(...each(300, 1));
    await turns();
    desk.onTopic = () => {
      throw rpc('UNAVAILABLE');
    };
    stream().over(rpc('UNAVAILABLE'));
    await turns(10);
    all.push(publish(order('later')));
    await turns();
    for (const { error, answers } of all) {
      assert.deepEqual([error?.code, error?.retryable, answers], ['UNAVAILABLE', true, 1]);
    }
    assert.equal(paused, 0);
    assert.equal(publisher.state.waiting, 0);
    desk.onTopic = () => undefined;
    desk.publisher = (request) => desk.accept(request);
    await wait(20);
    const after = publish(order('after'));
    await turns(10);
    ok(after);
    assert.deepEqual(published(), ['O-first', 'O-after']);
  });

  test('with onOutage fail several requests under way fail together', async () => {
    start({ onOutage: 'fail', maxRequests: 3 });
    await warm();
    byHand();
    const all = each(600);
    await turns(10);
    desk.onTopic = () => {
      throw rpc('UNAVAILABLE');
    };
    stream().over(rpc('UNAVAILABLE'));
    await turns(10);
    assert.ok(all.every(({ error }) => error?.code === 'UNAVAILABLE'));
    assert.equal(publisher.state.waiting, 0);
  });

  test('by somebody else, with onOutage fail, what waits fails as well', async () => {
    start({ onOutage: 'fail' });
    desk.onTopic = () => new Promise(() => undefined);
    const waiting = publish(order(0));
    await turns();
    desk.pubsub.begin(unreachable(), TOPIC);
    await turns();
    assert.deepEqual([waiting.error?.code, waiting.error?.retryable], ['GONE', true]);
    assert.equal(waiting.error?.message, 'the org is gone');
  });

  test('it is told that the state has changed', () => {
    const before = changes;
    desk.pubsub.begin(unreachable(), TOPIC);
    assert.ok(changes > before);
  });
});

describe('closing', () => {
  test('lets requests finish, and fails what was not begun, so that it comes again', async () => {
    await warm();
    byHand();
    const begun = publish(order(0));
    await turns();
    const queued = publish(order(1));
    await turns();
    const incoming = publish(order(2));
    let over = false;
    const closing = publisher.close(5_000).then(() => (over = true));
    await turns();
    assert.equal(over, false);
    for (const { error, answers } of [queued, incoming])
      assert.deepEqual([error?.code, error?.retryable, answers], ['NODE_CLOSED', true, 1]);
    stream().data(results(1));
    await closing;
    ok(begun);
    assert.equal(stream().cancelled, true);
    assert.deepEqual(requests(), [['O-first'], ['O-0']]);
  });

  test('lets a message of several requests finish as a whole', async () => {
    start({ maxRequests: 2 });
    await warm();
    byHand();
    const answer = publish(...orders(400));
    await turns(10);
    assert.deepEqual(sizes(), [1, 200, 200]);
    const closing = publisher.close(5_000);
    for (let i = 1; i <= 2; i++) {
      stream().data(desk.accept(desk.requests[i] as PublishRequest));
      await turns();
    }
    await closing;
    ok(answer);
  });

  test('does not wait longer than it may: what is under way then comes again, and a late answer counts no more', async () => {
    await warm();
    byHand();
    const slow = publish(order(0));
    await turns();
    let over = false;
    const closing = publisher.close(1_000).then(() => (over = true));
    await pass(999);
    assert.equal(over, false);
    await pass(1);
    await closing;
    assert.deepEqual([slow.error?.code, slow.error?.retryable], ['NODE_CLOSED', true]);
    stream().data(results(1));
    await turns(10);
    assert.equal(slow.answers, 1);
    assert.equal(desk.requests.length, 2);
  });

  test('a closed node takes nothing', async () => {
    await publisher.close(0);
    const answer = publish(order(0));
    await turns();
    assert.equal(answer.error?.code, 'NODE_CLOSED');
    assert.match(answer.error?.message ?? '', /delivered again/);
  });

  for (const [what, ends] of [
    ['because the org is gone', () => stream().over(rpc('UNAVAILABLE'))],
    ['because its answer is lost', () => stream().over()],
    ['because the org refuses it', () => stream().over(rpc('INVALID_ARGUMENT', 'publish.spoilt'))],
    ['because the org refuses an event', () => stream().data(results(1, 'SERVER_BUSY'))],
    ['because the limit is spent', () => stream().data(results(1, 'LIMIT_EXCEEDED'))],
  ] as const) {
    test(`a publish that fails meanwhile ${what} answers each message NODE_CLOSED, and is not sent again`, async () => {
      await warm();
      byHand();
      const [a, b] = each(2);
      await turns();
      const closing = publisher.close(60_000);
      ends();
      await closing;
      const answered = what.includes('event') || what.includes('limit');
      if (answered) ok(a);
      else assert.equal(a?.error?.code, 'NODE_CLOSED');
      assert.deepEqual([b?.error?.code, b?.error?.retryable, b?.answers], ['NODE_CLOSED', true, 1]);
      await pass(60_000);
      assert.equal(desk.requests.length, 2);
      assert.equal(outage(), undefined, 'and nobody else is held by it');
    });
  }

  test('cutting off what is under way holds nobody', async () => {
    await warm();
    byHand();
    publish(order(0));
    await turns();
    await Promise.all([publisher.close(10), pass(10)]);
    await turns(10);
    assert.equal(outage(), undefined);
  });

  test('while the org is held, what waits comes again and no clock is left standing', async () => {
    desk.pubsub.begin(unreachable(), TOPIC);
    const answer = publish(order(0));
    await turns();
    assert.equal(paused, 1);
    await publisher.close(5_000);
    assert.equal(answer.error?.code, 'NODE_CLOSED');
    assert.equal(paused, 0);
    await wait(40);
    assert.deepEqual(desk.requests, []);
  });

  test('while an event waits for its time leaves no timer', async () => {
    await warm();
    desk.publisher = (request) => results(...request.events.map(() => 'SERVER_BUSY'));
    const answer = publish(order(0));
    await turns(10);
    await publisher.close(5_000);
    assert.equal(answer.error?.code, 'NODE_CLOSED');
    await pass(1_000);
    assert.equal(desk.requests.length, 2);
  });

  test('it listens to the org no more', async () => {
    const { listeners } = desk.pubsub as unknown as { listeners: Set<unknown> };
    assert.equal(listeners.size, 1);
    await publisher.close(0);
    assert.equal(listeners.size, 0);
  });

  test('with nothing under way it is over at once', async () => {
    await warm();
    await publisher.close(60_000);
  });
});
