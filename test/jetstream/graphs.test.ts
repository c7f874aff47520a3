import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import fc from 'fast-check';
import { embedNodeRed, type EmbeddedNodeRed, type FlowNode } from '../support/node-red';
import { until } from '../support/until';
import { functionNode, inNode, openRoom, placed, serverNode, TAB, type Room } from './room';

/** What a node of the graph does with a message; `note` records that the delivery is still being worked on. */
const BEHAVIOURS = {
  pass: 'return msg;',
  drop: 'return null;',
  copyTwice: 'return [[RED.util.cloneMessage(msg), msg], msg];',
  makeNew: 'return { payload: msg.payload, jetstream: msg.jetstream };',
  later: 'await wait(); note(); return msg;',
  callback: 'setTimeout(() => { note(); node.send([msg, msg]); node.done(); }, 5);',
  sendThenWork: 'node.send(RED.util.cloneMessage(msg)); await wait(); note(); return null;',
  throwSometimes: 'if (msg.jetstream.sequence % 3 === 0) throw new Error("a third fails"); return msg;',
  errorLater:
    'await wait(); note(); if (msg.jetstream.sequence % 4 === 0) throw new Error("a quarter fails"); return msg;',
};

interface GraphNode {
  behaviour: keyof typeof BEHAVIOURS;
  /** For each of two outputs, which of the later nodes it is wired to. */
  wires: boolean[][];
}

const graphNode: fc.Arbitrary<GraphNode> = fc.record({
  behaviour: fc.constantFrom(...(Object.keys(BEHAVIOURS) as (keyof typeof BEHAVIOURS)[])),
  wires: fc.array(fc.array(fc.boolean(), { minLength: 6, maxLength: 6 }), { minLength: 2, maxLength: 2 }),
});
const graph = fc.record({
  nodes: fc.array(graphNode, { minLength: 1, maxLength: 6 }),
  /** Which nodes jetstream-in is wired to. */
  entries: fc.array(fc.boolean(), { minLength: 6, maxLength: 6 }),
  caught: fc.boolean(),
});

describe('random flows', () => {
  let room: Room;
  let red: EmbeddedNodeRed;
  /** `sequence.deliveries` → when the flow last worked on it. */
  const workedAt = new Map<string, number>();

  before(async () => {
    room = await openRoom();
    const note = (key: string): void => void workedAt.set(key, Date.now());
    red = await embedNodeRed({ flows: [], settings: { functionGlobalContext: { note } } });
  });
  after(async () => {
    await red.stop();
    await room.stop();
  });

  test('every message is settled exactly once a delivery, never before its last branch is done', async () => {
    let run = 0;
    await fc.assert(
      fc.asyncProperty(graph, async ({ nodes, entries, caught }) => {
        const subject = `crm.contacts.g${++run}`;
        const targets = (row: boolean[], from: number): string[] =>
          nodes
            .map((_, i) => i)
            .filter((i) => i >= from && row[i])
            .map((i) => `n${i}`);
        const code = (behaviour: GraphNode['behaviour']): string => `
          const key = msg.jetstream.sequence + '.' + msg.jetstream.deliveries;
          const note = () => global.get('note')(key);
          const wait = () => new Promise((resolve) => setTimeout(resolve, 5 + (msg.jetstream.sequence % 5) * 4));
          note();
          ${BEHAVIOURS[behaviour]}`;
        const flow: FlowNode[] = nodes.map((node, i) =>
          functionNode(`n${i}`, code(node.behaviour), {
            outputs: 2,
            wires: node.wires.map((row) => targets(row, i + 1)),
          }),
        );
        const first = targets(entries, 0);
        await red.deploy(
          [
            TAB,
            serverNode(room.nats.url),
            inNode({
              durable: `g${run}`,
              subject,
              wires: [first.length > 0 ? first : ['n0']],
              maxDeliver: 2,
              backoff: '30ms',
              deadLetter: 'crm.dead',
            }),
            ...flow,
            functionNode('caught', code('later')),
            ...(caught
              ? [
                  {
                    id: 'catch',
                    type: 'catch',
                    z: 'tab',
                    scope: null,
                    uncaught: false,
                    wires: [['caught']],
                  },
                ]
              : []),
          ].map(placed),
        );
        const sequences: number[] = [];
        for (let n = 0; n < 8; n++) sequences.push(await room.publish(subject, { n }));
        const ends = (sequence: number) => room.settled(sequence).filter(({ verb }) => verb !== '-NAK');
        await until(() => sequences.every((sequence) => ends(sequence).length > 0), {
          what: 'every message to be settled',
        });
        for (const sequence of sequences) {
          const settled = room.settled(sequence);
          assert.equal(ends(sequence).length, 1, 'one end');
          const deliveries = settled.map(({ deliveries }) => deliveries);
          assert.deepEqual(deliveries, [...new Set(deliveries)], 'each delivery settled once');
          for (const { deliveries, at } of settled) {
            const last = workedAt.get(`${sequence}.${deliveries}`) ?? 0;
            assert.ok(last > 0, 'the flow has seen the delivery');
            assert.ok(last <= at, `settled ${last - at} ms before its last branch was done`);
          }
        }
      }),
      { numRuns: 60 },
    );
  });
});
