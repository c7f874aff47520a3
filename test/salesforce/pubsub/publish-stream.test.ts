import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, mock, test } from 'node:test';
import { PubSubRefusal } from '../../../nodes/salesforce/pubsub/client';
import { CallLost } from '../../../nodes/salesforce/pubsub/errors';
import { PublishStream, RequestUnread } from '../../../nodes/salesforce/pubsub/publish-stream';
import { OrgOutage } from '../../../nodes/salesforce/org/outage';
import { FlowError } from '../../../nodes/shared/errors';
import { Desk, deferred, position, results, rpc, turns, unreachable } from './played';

const TOPIC = '/event/Order__e';
let desk: Desk;
let publishing: PublishStream;

beforeEach(() => {
  mock.timers.enable({ apis: ['setTimeout'] });
  desk = new Desk();
  publishing = new PublishStream(desk.pubsub, TOPIC);
});
afterEach(() => {
  publishing.close();
  desk.close();
  mock.timers.reset();
  mock.restoreAll();
});

async function pass(ms: number): Promise<void> {
  mock.timers.tick(ms);
  await turns();
}
const stream = () => desk.publishing.at(-1) ?? assert.fail('no stream is open');
const streams = () => desk.publishing.length;
const events = (...ids: string[]) => ids.map((id) => ({ id, schema_id: 's', payload: Buffer.alloc(1) }));

interface Answer {
  replayIds?: string[];
  error?: Error;
}
/** What became of each request that was sent, by its id. */
function send(id: string): Answer {
  const answer: Answer = {};
  publishing.send(events(id)).then(
    (response) => (answer.replayIds = response.results.map(({ replay_id }) => replay_id.toString('base64'))),
    (error: Error) => (answer.error = error),
  );
  return answer;
}
/** Ids of the requests on each stream. */
const written = () =>
  desk.publishing.map((one) => one.written.flatMap((request) => request.events.map(({ id }) => id)));

test('the first request opens the stream, and each is written to it with its topic', async () => {
  send('a');
  send('b');
  assert.equal(streams(), 0);
  await turns();
  send('c');
  assert.deepEqual(written(), [['a', 'b', 'c']]);
  assert.deepEqual(stream().written[0], { topic_name: TOPIC, events: events('a') });
  assert.equal(desk.session.logins, 1);
});

test('answers go to the requests in their order', async () => {
  const [a, b] = [send('a'), send('b')];
  await turns();
  stream().data(results(1));
  await turns();
  assert.deepEqual([a, b], [{ replayIds: [position(1)] }, {}]);
  stream().data(results(2));
  await turns();
  assert.deepEqual(b, { replayIds: [position(2)] });
  stream().data(results(3));
  await turns();
});

test('an answer without results answers nobody', async () => {
  const a = send('a');
  await turns();
  stream().data(results());
  await turns();
  assert.deepEqual(a, {});
  stream().data(results(1));
  await turns();
  assert.deepEqual(a, { replayIds: [position(1)] });
});

describe('a stream that breaks', () => {
  test('without an error loses what was not answered: nobody knows what became of it', async () => {
    const [a, b] = [send('a'), send('b')];
    await turns();
    stream().data(results(1));
    stream().over();
    await turns();
    assert.deepEqual(a.replayIds, [position(1)]);
    assert.ok(b.error instanceof CallLost);
    assert.deepEqual([b.error.code, b.error.sent, b.error.reason], ['STREAM_ENDED', true, 'unreachable']);
    assert.match(b.error.message, /ended the stream to \/event\/Order__e before it answered/);
  });

  test('because the org is out of reach fails every request with that', async () => {
    const all = [send('a'), send('b')];
    await turns();
    stream().over(rpc('UNAVAILABLE'));
    await turns();
    for (const { error } of all)
      assert.ok(error instanceof OrgOutage && !(error instanceof CallLost), 'not carried out');
  });

  test('because a request was refused: it was the first without an answer, the others were not looked at', async () => {
    const all = [send('a'), send('b'), send('c'), send('d')];
    await turns();
    stream().data(results(1));
    stream().over(rpc('INVALID_ARGUMENT', 'publish.event.count.invalid'));
    await turns();
    const [a, b, c, d] = all;
    assert.ok(a?.replayIds);
    assert.ok(b?.error instanceof PubSubRefusal);
    assert.equal(b.error.trouble.error.code, 'PUBLISH_EVENT_COUNT_INVALID');
    assert.match(b.error.message, /refuses a call for topic \/event\/Order__e/);
    assert.ok(c?.error instanceof RequestUnread);
    assert.ok(d?.error instanceof RequestUnread);
  });

  test('while nobody waits is opened by the next request, without a word', async () => {
    send('a');
    await turns();
    stream().data(results(1));
    stream().over(rpc('INTERNAL'));
    await turns();
    assert.equal(streams(), 1);
    const b = send('b');
    await turns();
    stream().data(results(2));
    await turns();
    assert.deepEqual(written(), [['a'], ['b']]);
    assert.ok(b.replayIds);
  });

  test('late, after another was opened, breaks nothing', async () => {
    send('a');
    await turns();
    stream().data(results(1));
    await turns();
    await pass(30_000);
    const b = send('b');
    await turns();
    const [old] = desk.publishing;
    old?.over(rpc('INTERNAL'));
    await turns();
    assert.deepEqual(b, {});
    stream().data(results(2));
    await turns();
    assert.ok(b.replayIds);
  });
});

describe('a session that the org does not take any more', () => {
  test('is renewed, and every request without an answer is sent again', async () => {
    const all = [send('a'), send('b'), send('c')];
    await turns();
    stream().data(results(1));
    stream().over(rpc('UNAUTHENTICATED'));
    await turns();
    assert.deepEqual(written(), [
      ['a', 'b', 'c'],
      ['b', 'c'],
    ]);
    assert.deepEqual(
      desk.publishing.map(({ auth }) => auth.accessToken),
      ['token-1', 'token-2'],
    );
    stream().data(results(2));
    stream().data(results(3));
    await turns();
    assert.ok(all.every(({ replayIds }) => replayIds));
  });

  test('just granted is not renewed again: the login is what is wrong', async () => {
    const a = send('a');
    await turns();
    stream().over(rpc('UNAUTHENTICATED'));
    await turns();
    stream().over(rpc('UNAUTHENTICATED'));
    await turns();
    assert.ok(a.error instanceof OrgOutage);
    assert.equal(a.error.reason, 'login');
    assert.equal(desk.session.logins, 2);
  });

  test('renewed, and then an answer: the next time it is renewed again', async () => {
    const [a, b] = [send('a'), send('b')];
    await turns();
    stream().over(rpc('UNAUTHENTICATED'));
    await turns();
    stream().data(results(1));
    stream().over(rpc('UNAUTHENTICATED'));
    await turns();
    stream().data(results(2));
    await turns();
    assert.ok(a.replayIds);
    assert.ok(b.replayIds);
    assert.equal(desk.session.logins, 3);
  });

  test('that can’t be renewed fails the requests with the org’s outage', async () => {
    const a = send('a');
    await turns();
    desk.session.onLogin = () => {
      throw unreachable();
    };
    stream().over(rpc('UNAUTHENTICATED'));
    await turns();
    assert.ok(a.error instanceof OrgOutage);
    assert.ok(desk.session.availability.current, 'and everybody waits for the login');
  });
});

describe('opening', () => {
  test('that fails, fails what waits for it; what is sent at that moment opens anew', async () => {
    let again: Answer | undefined;
    desk.session.onLogin = () => {
      desk.session.onLogin = () => undefined;
      throw unreachable();
    };
    publishing.send(events('a')).catch(() => (again = send('b')));
    await turns();
    assert.deepEqual(written(), [['b']]);
    stream().data(results(1));
    await turns();
    assert.deepEqual(again?.replayIds, [position(1)]);
  });

  test('where the endpoint makes no sense is the error of every request', async () => {
    desk.pubsub.open = () => Promise.reject(new FlowError('INVALID_ENDPOINT', 'no endpoint', false));
    const a = send('a');
    await turns();
    assert.equal((a.error as FlowError).code, 'INVALID_ENDPOINT');
  });

  test('happens once for all that wait for it', async () => {
    const slow = deferred();
    desk.session.onLogin = () => slow.promise;
    send('a');
    await turns();
    send('b');
    await turns();
    slow.resolve();
    await turns();
    assert.deepEqual(written(), [['a', 'b']]);
    assert.equal(desk.session.logins, 1);
  });
});

describe('time', () => {
  test('an answer that takes longer than 60 s is lost, and the stream with it', async () => {
    const a = send('a');
    await turns();
    await pass(59_999);
    assert.deepEqual(a, {});
    await pass(1);
    assert.equal(stream().cancelled, true);
    assert.ok(a.error instanceof CallLost);
  });

  test('it begins anew with the next request in line, not with what is sent behind', async () => {
    const [a, b] = [send('a'), send('b')];
    await turns();
    await pass(40_000);
    stream().data(results(1));
    await pass(40_000);
    assert.ok(a.replayIds);
    assert.deepEqual(b, {}, 'awaited for 40 s');
    send('c');
    await pass(19_999);
    assert.deepEqual(b, {});
    await pass(1);
    assert.ok(b.error instanceof CallLost);
  });

  test('an idle stream is closed after 30 s, before the org does it under a request', async () => {
    send('a');
    await turns();
    stream().data(results(1));
    await pass(29_999);
    assert.equal(stream().ended, false);
    await pass(1);
    assert.deepEqual([stream().ended, stream().cancelled], [true, false]);
    const b = send('b');
    await turns();
    assert.equal(streams(), 2);
    stream().data(results(2));
    await turns();
    assert.ok(b.replayIds);
  });

  test('a stream that broke leaves no timer behind', async () => {
    send('a');
    await turns();
    const [first] = desk.publishing;
    first?.over(rpc('UNAVAILABLE'));
    await turns();
    await pass(60_000);
    assert.equal(first?.cancelled, false);
    const b = send('b');
    await turns();
    await pass(59_999);
    assert.deepEqual(b, {});
    await pass(1);
    assert.ok(b.error instanceof CallLost);
  });
});

describe('closing', () => {
  test('fails the requests under way, and what is sent afterwards', async () => {
    const a = send('a');
    await turns();
    publishing.close();
    await turns();
    assert.equal(stream().cancelled, true);
    assert.ok(a.error instanceof CallLost);
    const b = send('b');
    await turns();
    assert.ok(b.error instanceof CallLost);
    assert.equal(streams(), 1);
  });

  test('while the login is under way fails what waits for it, and opens nothing when it comes', async () => {
    const slow = deferred();
    desk.session.onLogin = () => slow.promise;
    const a = send('a');
    await turns();
    publishing.close();
    await turns();
    assert.ok(a.error instanceof CallLost);
    slow.resolve();
    await turns();
    assert.equal(streams(), 0);
  });

  test('while the session is renewed opens nothing either', async () => {
    const a = send('a');
    await turns();
    const slow = deferred();
    desk.session.onLogin = () => slow.promise;
    stream().over(rpc('UNAUTHENTICATED'));
    await turns();
    publishing.close();
    slow.resolve();
    await turns();
    assert.equal(streams(), 1);
    assert.ok(a.error);
  });

  test('an idle stream leaves no timer', async () => {
    send('a');
    await turns();
    stream().data(results(1));
    await turns();
    publishing.close();
    await pass(60_000);
    assert.deepEqual([stream().cancelled, stream().ended], [true, false]);
  });
});
