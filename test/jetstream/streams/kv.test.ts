import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { connect } from 'nats';
import { Connection } from '../../../nodes/jetstream/server/connection';
import { Bucket } from '../../../nodes/jetstream/streams/kv';
import { startNats, type Nats, type NatsOptions } from '../../support/nats';

const never = new AbortController().signal;

async function connected(
  t: TestContext,
  options: NatsOptions = {},
  settings: object = {},
): Promise<{ nats: Nats; connection: Connection }> {
  const nats = await startNats(options);
  t.after(() => nats.stop());
  const connection = new Connection({ servers: nats.url, auth: 'none', ...settings });
  const release = connection.use({});
  t.after(() => release());
  return { nats, connection };
}

for (const version of ['latest', '2.10'] as const) {
  test(`only one of those who write to a revision succeeds (${version})`, async (t) => {
    const { connection } = await connected(t, { version });
    const [one, other] = [new Bucket(connection, 'positions'), new Bucket(connection, 'positions')];
    assert.equal(await one.get('a.b', never), undefined);
    const first = await one.put('a.b', 'one', 0, never);
    assert.ok(first);
    assert.equal(await other.put('a.b', 'other', 0, never), undefined);
    assert.ok(await other.put('a.b', 'other', first, never));
    assert.equal(await one.put('a.b', 'again', first, never), undefined);
    assert.equal((await one.get('a.b', never))?.value, 'other');
  });
}

test('a write whose answer was lost is recognised', async (t) => {
  const { connection } = await connected(t);
  const bucket = new Bucket(connection, 'positions');
  const revision = await bucket.put('key', 'mine', 0, never);
  assert.equal(await bucket.put('key', 'mine', 0, never), revision);
});

test('a bucket that may not be used says which right is missing', async (t) => {
  const config = 'authorization { users: [ { user: u, password: p, permissions: { publish: ["x"] } } ] }';
  const { connection } = await connected(t, { config }, { auth: 'userpass', user: 'u', password: 'p' });
  await assert.rejects(new Bucket(connection, 'b').get('key', never), {
    code: 'PERMISSION_DENIED',
    message: /"\$JS\.API\.STREAM\.INFO\.KV_b"/,
  });
});

test('a bucket is usable again after its server was away', async (t) => {
  const { nats, connection } = await connected(t);
  const bucket = new Bucket(connection, 'b');
  const revision = await bucket.put('key', '1', 0, never);
  await nats.kill();
  const later = bucket.put('key', '2', revision ?? 0, never).catch(() => undefined);
  await nats.restart();
  await later;
  assert.ok(await bucket.get('key', never));
});

for (const version of ['latest', '2.10'] as const)
  test(`a key that somebody has deleted or purged can be written again (${version})`, async (t) => {
    const { nats, connection } = await connected(t, { version });
    const bucket = new Bucket(connection, 'b');
    const nc = await connect({ servers: nats.url });
    t.after(() => nc.close());
    for (const remove of ['delete', 'purge'] as const) {
      const revision = (await bucket.put(remove, 'one', 0, never)) ?? 0;
      const kv = await nc.jetstream().views.kv('b');
      await kv[remove](remove);
      assert.equal(await bucket.get(remove, never), undefined);
      assert.equal(await bucket.put(remove, 'two', revision, never), undefined, 'it is not what it was');
      assert.ok(await bucket.put(remove, 'two', 0, never));
      assert.equal((await bucket.get(remove, never))?.value, 'two');
      assert.equal(await bucket.put(remove, 'three', 0, never), undefined);
    }
  });

for (const answer of ['{}', '{"seq":3}', 'hello'])
  test(`an answer ${answer} of somebody who is no stream is no write`, async (t) => {
    const { nats, connection } = await connected(t);
    const bucket = new Bucket(connection, 'b');
    await bucket.put('key', '1', 0, never);
    const nc = await connect({ servers: nats.url });
    t.after(() => nc.close());
    await nc.jetstreamManager().then((jsm) => jsm.streams.update('KV_b', { subjects: ['$KV.other.>'] }));
    nc.subscribe('$KV.b.>', { callback: (_error, msg) => void msg.respond(answer) });
    await nc.flush();
    const error = { code: 'NO_PUBACK', retryable: true };
    await assert.rejects(bucket.put('key', '2', 1, never), error);
  });
