import { performance } from 'node:perf_hooks';
import { connect, type JetStreamManager, type NatsConnection } from 'nats';
import { startNats } from '../test/support/nats';
import { startNodeRed, type FlowNode, type NodeRed } from '../test/support/node-red';
import { until } from '../test/support/until';
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
  const jsm = await nc.jetstreamManager();
  await jsm.streams.add({ name: 'out', subjects: ['out.>'] });
  const red = await startNodeRed({ flows: flow(nats.url) });
  const [ours, bare]: [number[], number[]] = [[], []];
  await byFlow(red, jsm);
  for (let turn = 0; turn < ROUNDS; turn++) {
    ours.push(await byFlow(red, jsm));
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
async function byFlow(red: NodeRed, jsm: JetStreamManager): Promise<number> {
  const stored = async (): Promise<number> => (await jsm.streams.info('out')).state.messages;
  let ms = 0;
  for (let chunk = 0; chunk < CHUNKS; chunk++) {
    const enough = (await stored()) + CHUNK;
    const all = async (): Promise<boolean> => (await stored()) === enough;
    await red.inject('press', { payload: CHUNK });
    const begun = performance.now();
    await until(all, { timeout: 60_000, interval: 2, what: 'all to be in the stream' });
    ms += performance.now() - begun;
  }
  return (CHUNK * CHUNKS * 1_000) / ms;
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
  const func = `
    for (let n = 0; n < msg.payload; n++)
      node.send({ payload: { ExternalId__c: 'e' + n, LastName: 'Name ' + n, Description: '${FILLER}' } });
  `;
  const subject = 'out.contacts';
  return [
    { id: 'tab', type: 'tab', label: 'bench' },
    { id: 'server', type: 'jetstream-server', servers: url, auth: 'none' },
    { id: 'press', type: 'inject', ...place, props: [{ p: 'payload' }], wires: [['source']] },
    { id: 'source', type: 'function', ...place, func, wires: [['out']] },
    { id: 'out', type: 'jetstream-out', ...place, server: 'server', subject, wires: [['end']] },
    { id: 'end', type: 'change', ...place, rules: [], wires: [[]] },
  ];
}
