import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { EventReader } from '../../../nodes/salesforce/events/reader';
import { SETTLEMENT, type EventAttempt } from '../../../nodes/salesforce/events/settlement';
import { PubSub } from '../../../nodes/salesforce/pubsub/client';
import { Publisher } from '../../../nodes/salesforce/events/publisher';
import type { PubSubChannel } from '../../../nodes/salesforce/pubsub/grpc';
import { PublishStream } from '../../../nodes/salesforce/pubsub/publish-stream';
import { Subscription } from '../../../nodes/salesforce/pubsub/subscription';
import type { OrgSession } from '../../../nodes/salesforce/org/session';
import type { PositionStore } from '../../../nodes/shared/positions';
import { startOrg, type Org } from '../../org/org';
import { watchHeartbeat } from '../../support/heartbeat';
import { stopAtEach, type Gates } from '../../support/stops';
import { until } from '../../support/until';
import { TOPIC, orders } from './rig';
import { QUICK, sessionWith } from '../rig';

watchHeartbeat(5_000);

let org: Org;
before(async () => {
  org = await startOrg({ pubsub: true });
  org.bus().publish(TOPIC, ...orders(5));
});
afterEach(() => org.faults.clear());
const called = (end: string) => org.requests().some(({ path, endedAt }) => path.endsWith(end) && !endedAt);
after(() => org.close());

/** Everything that waits for the org passes a gate: logins, the connection, look-ups. */
function gated(gates: Gates): { pubsub: PubSub; close: () => void } {
  const session = sessionWith(org);
  const gatedSession = new Proxy(session, {
    get: (target: OrgSession, key) => {
      const value: unknown = Reflect.get(target, key, target);
      if (typeof value !== 'function') return value;
      const method = value.bind(target) as (...args: unknown[]) => unknown;
      return key === 'login' || key === 'relogin'
        ? (...args: unknown[]) => gates.pass(() => method(...args))
        : method;
    },
  });
  const pubsub = new PubSub(gatedSession, org.pubsub ?? '', { ...QUICK });
  const open = pubsub.open.bind(pubsub);
  pubsub.open = () =>
    gates.pass(async () => gates.wrap<PubSubChannel>(await open(), 'getTopic', 'getSchema'));
  return {
    pubsub,
    close: () => {
      pubsub.close();
      session.close();
    },
  };
}

const host = (held: { event: unknown }[] = []) => ({
  event: (event: unknown) => void held.push({ event }),
  idle: () => undefined,
  room: () => 100,
  positionLost: () => undefined,
  state: () => undefined,
  log: () => undefined,
});

test('a subscription can be stopped at each of its awaits', async () => {
  const stops = await stopAtEach(
    (gates) => {
      const { pubsub, close } = gated(gates);
      const subscription = new Subscription(pubsub, TOPIC, host());
      subscription.start('earliest');
      return () => subscription.stop().finally(close);
    },
    { limit: 1_000 },
  );
  assert.ok(stops >= 5, `${stops} awaits`);
});

class Memory implements PositionStore {
  saved: string | undefined;
  load = () => Promise.resolve(this.saved);
  save = (text: string) => {
    this.saved = text;
    return Promise.resolve();
  };
  close = () => Promise.resolve();
}

test('an event reader can be stopped at each of its awaits, the store’s as well', async () => {
  const stops = await stopAtEach(
    (gates) => {
      const { pubsub, close } = gated(gates);
      const reader = new EventReader(
        pubsub,
        TOPIC,
        gates.wrap<PositionStore>(new Memory(), 'load', 'save', 'close'),
        {
          deliver: (attempt: EventAttempt) => void setImmediate(() => attempt.finished(undefined)),
          changed: () => undefined,
          positionLost: () => undefined,
          log: () => undefined,
        },
        SETTLEMENT,
      );
      reader.start('stored');
      return () => reader.stop(100).finally(close);
    },
    { limit: 4_000, most: 12 },
  );
  assert.ok(stops >= 7, `${stops} awaits`);
});

test('a publisher can be stopped at each of its awaits, and each message is answered', async () => {
  const stops = await stopAtEach(
    (gates) => {
      const { pubsub, close } = gated(gates);
      const publisher = new Publisher(pubsub, { topic: TOPIC, maxRequests: 2, onOutage: 'hold' });
      let answered = 0;
      for (let i = 0; i < 3; i++) {
        const answer = publisher.publish(orders(1, i), [`id-${i}`], () => () => undefined);
        void answer.catch(() => undefined).finally(() => answered++);
      }
      return async () => {
        await publisher.close(50);
        close();
        await until(() => answered === 3, { timeout: 1_000 });
      };
    },
    { limit: 2_000 },
  );
  assert.ok(stops >= 5, `${stops} awaits`);
});

test('a publish stream can be closed at each of its awaits, and each request is answered', async () => {
  const stops = await stopAtEach(
    (gates) => {
      const { pubsub, close } = gated(gates);
      const stream = new PublishStream(pubsub, TOPIC);
      let answered = false;
      void stream
        .send([{ id: 'a', schema_id: 'none', payload: Buffer.alloc(1) }])
        .catch(() => undefined)
        .finally(() => (answered = true));
      return async () => {
        stream.close();
        await until(() => answered, { timeout: 1_000 });
        close();
      };
    },
    { limit: 2_000 },
  );
  assert.ok(stops >= 2, `${stops} awaits`);
});

test('a look-up of a schema that the org never answers ends with the connection', async () => {
  org.clearRequests();
  org.faults.add({ match: { path: '/GetTopic' }, action: { grpc: { delayMs: 60_000 } } });
  const session = sessionWith(org);
  const pubsub = new PubSub(session, org.pubsub ?? '', { ...QUICK });
  const looking = pubsub.schemas.ofTopic(TOPIC).then(
    () => 'answered',
    () => 'failed',
  );
  await until(() => called('/GetTopic'));
  pubsub.close();
  assert.equal(await looking, 'failed');
  session.close();
});

test('sockets that are silent keep nobody from stopping', async () => {
  for (const path of ['/GetTopic', '/GetSchema', '/Subscribe', '/PublishStream', '/token']) {
    org.faults.clear();
    org.clearRequests();
    org.faults.add({
      match: { path },
      action: path === '/token' ? { delayMs: 60_000 } : { grpc: { delayMs: 60_000 } },
    });
    const session = sessionWith(org);
    const pubsub = new PubSub(session, org.pubsub ?? '', { ...QUICK });
    const subscription = new Subscription(pubsub, TOPIC, host());
    const publisher = new Publisher(pubsub, { topic: TOPIC, maxRequests: 1, onOutage: 'hold' });
    subscription.start('earliest');
    const answer = publisher
      .publish(orders(1), ['id'], () => () => undefined)
      .catch((error: unknown) => error);
    await until(() => called(path), { what: path });
    await Promise.all([subscription.stop(), publisher.close(100)]);
    await answer;
    pubsub.close();
    session.close();
  }
});
