import { performance } from 'node:perf_hooks';
import { connect, type NatsConnection } from 'nats';
import { startNats } from '../test/support/nats';
import { startNodeRed, type FlowNode, type NodeRed } from '../test/support/node-red';
import { median, round, type Row } from './row';

/** As many as jetstream-out lets wait, by default. */
const CHUNK = 10_000;
const CHUNKS = 3;
const WINDOW = 256;
const ROUNDS = 5;
const FILLER = 'x'.repeat(230);

/** jetstream-out, each message with its PubAck and sent on, and the client's own publish with as many in flight, in turn. */
export async function rows(): Promise<Row[]> {
  const nats = await startNats();
  const nc = await connect({ servers: nats.url });
  await (await nc.jetstreamManager()).streams.add({ name: 'out', subjects: ['out.>'] });
  const red = await startNodeRed({ flows: flow(nats.url) });
  const [ours, bare]: [number[], number[]] = [[], []];
  await byFlow(red);
  for (let turn = 0; turn < ROUNDS; turn++) {
    ours.push(await byFlow(red));
    bare.push(await byClient(nc));
  }
  await red.stop();
  await nc.close();
  await nats.stop();
  return [
    {
      name: `jetstream-out ÷ bare js.publish, ${WINDOW} in flight`,
      value: Math.round(median(ours)),
      unit: 'messages/s',
      reference: Math.round(median(bare)),
      ratio: round(median(ours.map((rate, i) => rate / (bare[i] ?? NaN)))),
    },
  ];
}

/** Messages a second. */
async function byFlow(red: NodeRed): Promise<number> {
  const from = red.log.length;
  await red.inject('press', { payload: CHUNKS });
  const line = await red.waitForLog(/publishing took/, { timeout: 120_000, from });
  return (CHUNK * CHUNKS * 1_000) / Number(/took ([\d.]+) ms/.exec(line)?.[1]);
}

async function byClient(nc: NatsConnection): Promise<number> {
  const js = nc.jetstream();
  const begun = performance.now();
  let n = 0;
  const sender = async (): Promise<void> => {
    while (n < CHUNK * CHUNKS) {
      const record = { ExternalId__c: `e${n}`, LastName: `Name ${n++}`, Description: FILLER };
      await js.publish('out.contacts', JSON.stringify(record));
    }
  };
  await Promise.all(Array.from({ length: WINDOW }, sender));
  return (CHUNK * CHUNKS * 1_000) / (performance.now() - begun);
}

function flow(url: string): FlowNode[] {
  const place = { z: 'tab', x: 1, y: 1 };
  return [
    { id: 'tab', type: 'tab', label: 'bench' },
    { id: 'server', type: 'jetstream-server', servers: url, auth: 'none' },
    { id: 'press', type: 'inject', ...place, props: [{ p: 'payload' }], wires: [['begin']] },
    {
      id: 'begin',
      type: 'function',
      ...place,
      func: `flow.set('begun', Date.now()); flow.set('chunks', msg.payload); return msg;`,
      wires: [['source']],
    },
    {
      id: 'source',
      type: 'function',
      ...place,
      func: `
        context.left = 0;
        flow.set('left', ${CHUNK});
        for (let n = 0; n < ${CHUNK}; n++)
          node.send({ payload: { ExternalId__c: 'e' + n, LastName: 'Name ' + n, Description: '${FILLER}' } });
      `,
      wires: [['out']],
    },
    {
      id: 'out',
      type: 'jetstream-out',
      ...place,
      server: 'server',
      subject: 'out.contacts',
      wires: [['end']],
    },
    {
      id: 'end',
      type: 'function',
      ...place,
      func: `
        context.count = (context.count || 0) + 1;
        if (context.count % ${CHUNK} !== 0) return;
        const chunks = flow.get('chunks') - 1;
        flow.set('chunks', chunks);
        if (chunks > 0) return msg;
        node.warn('publishing took ' + (Date.now() - flow.get('begun')) + ' ms');
      `,
      wires: [['source']],
    },
  ];
}
