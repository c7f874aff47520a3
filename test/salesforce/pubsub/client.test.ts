import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, mock, test } from 'node:test';
import { PubSubRefusal } from '../../../nodes/salesforce/pubsub/client';
import { CallLost } from '../../../nodes/salesforce/pubsub/errors';
import { OrgOutage } from '../../../nodes/salesforce/org/outage';
import { Desk, deferred, rpc, turns, unreachable } from './played';

const TOPIC = '/event/Order__e';
let desk: Desk;
beforeEach(() => {
  mock.timers.enable({ apis: ['setTimeout'] });
  desk = new Desk();
});
afterEach(() => {
  desk.close();
  mock.timers.reset();
});
async function pass(ms: number): Promise<void> {
  for (let i = 0; i < ms; i++) {
    mock.timers.tick(1);
    await turns();
  }
}
const fails = (status: string, reason?: string) => () => {
  throw rpc(status, reason);
};
const outage = () => desk.pubsub.availability.current;

describe('a hold', () => {
  test('begun by several calls that fail together is one, with one probe at a time', async () => {
    const changes = mock.fn();
    desk.pubsub.onChange(changes);
    const slow = deferred();
    desk.onTopic = () => slow.promise;
    const other = new OrgOutage('limit', 'LATER', 'came later', false);
    for (const outage of [unreachable(), other, unreachable()]) desk.pubsub.begin(outage, TOPIC);
    assert.deepEqual([outage()?.code, changes.mock.callCount()], ['GONE', 1]);
    await pass(20);
    assert.equal(desk.topicCalls, 1);
    desk.pubsub.begin(other, TOPIC);
    await pass(20);
    assert.equal(desk.topicCalls, 1);
    slow.resolve();
    await turns();
    assert.equal(outage(), undefined);
    await pass(50);
    assert.equal(desk.topicCalls, 1);
  });

  test('asks for the topic that it was begun with, and ends even where that is refused', async () => {
    const asked = mock.method(desk, 'getTopic');
    desk.onTopic = fails('NOT_FOUND');
    desk.pubsub.begin(unreachable(), TOPIC);
    await pass(5);
    assert.equal(asked.mock.calls[0]?.arguments[1], TOPIC);
    assert.equal(outage(), undefined);
  });

  test('ends by no probe while there is no session: that is waited for with everybody', async () => {
    desk.session.probe = () => Promise.reject(unreachable());
    desk.session.onLogin = () => {
      throw unreachable();
    };
    desk.pubsub.begin(unreachable(), TOPIC);
    await desk.pubsub.login(desk.session.login() as Promise<never>).catch(() => undefined);
    const { logins } = desk.session;
    await pass(30);
    assert.equal(desk.session.logins, logins);
    assert.equal(outage(), desk.session.availability.current);
    assert.ok(outage());
  });

  test('of the session alone is none of Pub/Sub’s while there is a session', async () => {
    await desk.session.login();
    desk.session.availability.begin(unreachable());
    assert.equal(outage(), undefined);
  });

  test('that was closed leaves no timer, and begins no more', async () => {
    desk.pubsub.begin(unreachable(), TOPIC);
    desk.pubsub.close();
    await pass(50);
    assert.equal(desk.topicCalls, 0);
    await assert.rejects(
      new Desk().pubsub.call('x', () => Promise.reject(rpc('INTERNAL'))),
      CallLost,
    );
  });

  test('is heard of by who listens, no longer by who has stopped', () => {
    const heard = mock.fn();
    const stop = desk.pubsub.onChange(heard);
    stop();
    desk.pubsub.begin(unreachable(), TOPIC);
    assert.equal(heard.mock.callCount(), 0);
  });
});

describe('a call', () => {
  test('with a session that is not taken any more is made once more with a new one', async () => {
    const tokens: string[] = [];
    const answer = await desk.pubsub.call('x', async (_channel, { accessToken }) => {
      tokens.push(accessToken);
      if (tokens.length === 1) throw rpc('UNAUTHENTICATED');
      return Promise.resolve('yes');
    });
    assert.deepEqual([answer, tokens], ['yes', ['token-1', 'token-2']]);
  });

  test('with a new session that is not taken either fails: the login is what is wrong', async () => {
    await assert.rejects(
      desk.pubsub.call('x', () => Promise.reject(rpc('UNAUTHENTICATED', 'service.auth.error'))),
      {
        reason: 'login',
        code: 'service.auth.error',
        message: /just granted \(service\.auth\.error: simulated\)/,
      },
    );
    assert.equal(desk.session.logins, 2);
  });

  test('several with one old session cost one login', async () => {
    await desk.session.login();
    const call = () =>
      desk.pubsub.call('x', async (_channel, { accessToken }) => {
        await turns(1);
        if (accessToken === 'token-1') throw rpc('UNAUTHENTICATED');
      });
    await Promise.all([call(), call(), call()]);
    assert.equal(desk.session.logins, 2);
  });

  test('that the org refuses says so by its trouble, other than one for the org’s reasons', async () => {
    await assert.rejects(
      desk.pubsub.call('topic x', () => Promise.reject(rpc('NOT_FOUND'))),
      (error) => error instanceof PubSubRefusal && error.trouble.kind === 'topic',
    );
    await assert.rejects(
      desk.pubsub.call('topic x', () => Promise.reject(rpc('UNAVAILABLE'))),
      (error) => error instanceof OrgOutage && error.reason === 'unreachable',
    );
    await assert.rejects(
      desk.pubsub.call('topic x', () => Promise.reject(new Error('odd'))),
      (error) => error instanceof CallLost && /odd/.test(error.message),
    );
  });

  test('without a login begins the session’s hold', async () => {
    desk.session.onLogin = () => {
      throw unreachable();
    };
    await assert.rejects(
      desk.pubsub.call('x', () => Promise.resolve()),
      OrgOutage,
    );
    assert.ok(desk.session.availability.current);
    assert.equal(desk.pubsub.ownAvailability.current, undefined);
  });
});
