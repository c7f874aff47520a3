import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { connect, headers, type Msg } from 'nats';
import { Frames } from '../../../nodes/jetstream/publish/frames';
import { headerBytes } from '../../../nodes/jetstream/publish/raw-headers';
import type { NatsConnection } from '../../../nodes/jetstream/server/nats';
import { startNats } from '../../support/nats';

const frame = fc.record({
  subject: fc.stringMatching(/^f(\.[a-zäß€😀0-9]{1,9}){1,3}$/u),
  reply: fc.constantFrom('', 'r.1', 'r.ü'),
  header: fc.option(
    fc.stringMatching(/^[ -~]{0,40}$/).map((value) => value.trim()),
    { nil: undefined },
  ),
  data: fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.constantFrom(70_000, 200_000).map((size) => 'ä'.repeat(size)),
    fc.uint8Array(),
  ),
});

test('whatever is written arrives as it is, in order, and so does what the client sends beside it', async (t) => {
  const nats = await startNats({ jetstream: false });
  t.after(() => nats.stop());
  const nc = await connect({ servers: nats.url });
  t.after(() => nc.close());
  let arrived: Msg[] = [];
  nc.subscribe('f.>', { callback: (_error, msg) => void arrived.push(msg) });
  await fc.assert(
    fc.asyncProperty(fc.array(frame, { maxLength: 12 }), async (sent) => {
      arrived = [];
      const frames = new Frames(nc);
      for (const { subject, reply, header, data } of sent)
        frames.add(subject, reply, header === undefined ? undefined : headerBytes(`X: ${header}\r\n`), data);
      frames.flush();
      nc.publish('f.last', 'x', { headers: headers() });
      await nc.flush();
      assert.equal(arrived.pop()?.subject, 'f.last');
      assert.deepEqual(
        arrived.map((msg) => [msg.subject, msg.reply ?? '', msg.headers?.get('X'), Buffer.from(msg.data)]),
        sent.map(({ subject, reply, header, data }) => [subject, reply, header, Buffer.from(data)]),
      );
    }),
    { numRuns: 60 },
  );
});

test('what is larger than the server takes is refused, and sent to nobody', () => {
  const sent: Uint8Array[] = [];
  const protocol = { sendCommand: (bytes: Uint8Array) => void sent.push(bytes) };
  const frames = new Frames({ info: { max_payload: 20 }, protocol } as unknown as NatsConnection);
  const lines = headerBytes('');
  frames.add('a', '', undefined, 'x'.repeat(20));
  for (const [head, data] of [
    [undefined, 'ä'.repeat(11)],
    [lines, 'x'.repeat(21 - lines.length)],
  ] as const)
    // prettier-ignore
    assert.throws(() => frames.add('b', '', head, data), { code: 'MAX_PAYLOAD_EXCEEDED' });
  frames.flush();
  frames.flush();
  assert.deepEqual(sent.map(String), [`PUB a 20\r\n${'x'.repeat(20)}\r\n`]);
});
