import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { watchHeartbeat } from '../../support/heartbeat';
import { clone, Flow, join, turns, type Handler, type Msg } from './runtime';

watchHeartbeat();

type Work = { msg: Msg; send: (msg: unknown) => void; done: (error?: unknown) => void };
/** What a node does with a message; resolves when it has done all of it. */
const BEHAVIOURS: Record<string, (work: Work) => void | Promise<void>> = {
  pass: ({ msg, send, done }) => (send(msg), done()),
  drop: ({ done }) => done(),
  copyTwice: ({ msg, send, done }) => (send([[clone(msg), msg], msg]), done()),
  makeNew: ({ msg, send, done }) => (send({ _msgid: msg['_msgid'] }), done()),
  doneThenSend: ({ msg, send, done }) => (done(), send(msg)),
  later: async ({ msg, send, done }) => (await turns(3), send(msg), done()),
  sendThenWork: async ({ msg, send, done }) => (send(clone(msg)), await turns(4), done()),
  errorLater: async ({ done }) => (await turns(2), done('failed')),
  throws: () => {
    throw new Error('failed');
  },
};
const FAILING = new Set(['errorLater', 'throws']);

const graph = fc.record({
  nodes: fc.array(
    fc.record({
      behaviour: fc.constantFrom(...Object.keys(BEHAVIOURS)),
      wires: fc.array(fc.array(fc.boolean(), { minLength: 6, maxLength: 6 }), { minLength: 2, maxLength: 2 }),
    }),
    { minLength: 1, maxLength: 6 },
  ),
  entries: fc.array(fc.boolean(), { minLength: 6, maxLength: 6 }),
  caught: fc.boolean(),
  messages: fc.integer({ min: 1, max: 5 }),
});

test('in any flow a message is finished once, after its last branch, and fails if one of them did', async () => {
  await fc.assert(
    fc.asyncProperty(graph, async ({ nodes, entries, caught, messages }) => {
      const targets = (row: boolean[], from: number): string[] =>
        nodes.flatMap((_, i) => (i >= from && row[i] ? [`n${i}`] : []));
      const flow = new Flow(targets(entries, 0));
      const working = new Map<unknown, number>();
      const failed = new Set<unknown>();
      /** Of the message, whatever it has become: by the id that all of these keep. */
      const worked =
        (behaviour: string): Handler =>
        (msg, send, done) => {
          const key = msg['_msgid'];
          const count = (by: number) => working.set(key, (working.get(key) ?? 0) + by);
          if (FAILING.has(behaviour)) failed.add(key);
          count(1);
          const over = () => count(-1);
          try {
            const work = BEHAVIOURS[behaviour]?.({ msg, send, done });
            if (work instanceof Promise) return void work.then(over);
          } catch (error) {
            over();
            throw error;
          }
          over();
        };
      nodes.forEach(({ behaviour, wires }, i) =>
        flow.node(`n${i}`, 'function', worked(behaviour), { wires: wires.map((row) => targets(row, i + 1)) }),
      );
      if (caught) {
        flow.node('catch', 'catch', (msg, send, done) => (send(msg), done()), { wires: [['caught']] });
        flow.node('caught', 'delay', worked('later'));
      }
      const ends = new Map<string, unknown[]>();
      for (let n = 0; n < messages; n++) {
        const token = `g${Math.random()}`;
        ends.set(token, []);
        const finished = (failure: unknown): void => {
          assert.equal(working.get(token) ?? 0, 0, 'finished before its last branch was done');
          ends.get(token)?.push(failure);
        };
        flow.deliver(n, { token, owner: { finished } });
      }
      await turns(60);
      for (const [token, [failure, ...more]] of ends) {
        assert.equal(ends.get(token)?.length, 1 + more.length);
        assert.deepEqual(more, [], 'finished once');
        assert.equal(failure !== undefined, failed.has(token));
      }
      flow.close();
    }),
    { numRuns: 150 },
  );
});

test('whatever is joined with whatever, all of it is finished or failed together with what it went into', async () => {
  const parts = fc.array(fc.integer({ min: 1, max: 3 }), { minLength: 1, maxLength: 5 });
  await fc.assert(
    fc.asyncProperty(parts, fc.infiniteStream(fc.nat(100)), fc.boolean(), async (sizes, order, fails) => {
      const flow = new Flow();
      const waiting: (() => void)[] = [];
      flow.node(
        'a',
        'split',
        (msg, send, done) => {
          const size = msg['payload'] as number;
          send([Array.from({ length: size }, () => clone(msg))]);
          done();
        },
        { wires: [['mix']] },
      );
      flow.node('mix', 'delay', (msg, send, done) => void waiting.push(() => (send(msg), done())), {
        wires: [['join']],
      });
      flow.node('join', 'join', join(2), { wires: [['end']] });
      flow.node(
        'end',
        'delay',
        (_msg, _send, done) => void setImmediate(() => done(fails ? 'no' : undefined)),
      );
      // An even number of parts: the join holds nothing back for ever.
      const all = sizes.reduce((sum, size) => sum + size, 0) % 2 === 0 ? sizes : [...sizes, 1];
      const sent = all.map((size) => flow.deliver(size));
      await turns(5);
      while (waiting.length > 0) {
        waiting.splice((order.next().value as number) % waiting.length, 1)[0]?.();
        await turns(2);
      }
      await turns();
      assert.deepEqual(
        sent.map((one) => one.ends.map((failure) => failure?.error)),
        sent.map(() => [fails ? 'no' : undefined]),
      );
      flow.close();
    }),
    { numRuns: 100 },
  );
});

/** What a node makes of a message, telling nothing of which it was. */
const NAMELESS: Record<string, (keep: { msg?: Msg }, msg: Msg) => Msg> = {
  'a new object': () => ({}),
  'its template': (keep) => (keep.msg ??= {}),
  'what it kept of the first': (keep, msg) => (keep.msg ??= msg),
};

test('whatever nodes make of several messages at once: none is finished before the work it caused, or well if that failed', async () => {
  const maker = fc.record({
    how: fc.constantFrom(...Object.keys(NAMELESS)),
    copies: fc.integer({ min: 1, max: 2 }),
    wait: fc.integer({ min: 0, max: 3 }),
    rest: fc.integer({ min: 0, max: 3 }),
  });
  const makers = fc.array(maker, { minLength: 1, maxLength: 3 });
  await fc.assert(
    fc.asyncProperty(
      makers,
      fc.integer({ min: 1, max: 5 }),
      fc.nat(7),
      fc.nat(3),
      async (nodes, messages, fails, gap) => {
        const flow = new Flow(['n0']);
        const working = new Map<unknown, number>();
        const count = (of: unknown, by: number): void => void working.set(of, (working.get(of) ?? 0) + by);
        nodes.forEach(({ how, copies, wait, rest }, i) => {
          const keep: { msg?: Msg } = {};
          const work: Handler = (msg, send, done) => {
            // By then another message may have been written on the one that was kept.
            const payload = msg['payload'];
            if (i > 0) count(payload, -1);
            count(payload, 1);
            void turns(wait).then(async () => {
              for (let n = 0; n < copies; n++) {
                count(payload, 1);
                const made = NAMELESS[how]?.(keep, msg) as Msg;
                delete made['_msgid'];
                send(clone(Object.assign(made, { payload })));
                await turns(1);
              }
              await turns(rest);
              count(payload, -1);
              done();
            });
          };
          flow.node(`n${i}`, 'maker', work, { wires: [[`n${i + 1}`]] });
        });
        flow.node(`n${nodes.length}`, 'worker', (msg, _send, done) => {
          const payload = msg['payload'];
          void turns(4).then(() => (count(payload, -1), done(payload === fails ? 'no' : undefined)));
        });
        const ends: unknown[][] = [];
        const early: number[] = [];
        // The first is over before the others come: what a node has kept of it is of nobody any more.
        for (let n = -1; n < messages; n++) {
          const finished = (failure: unknown): void => {
            if (working.get(n) !== 0) early.push(n);
            ends[n + 1]?.push(failure);
          };
          ends[n + 1] = [];
          flow.deliver(n, { owner: { finished } });
          await turns(n < 0 ? 150 : gap);
        }
        await turns(150);
        flow.close();
        assert.deepEqual(early, [], 'finished before the work it caused');
        for (const [index, [failure, ...more]] of ends.entries()) {
          assert.equal(ends[index]?.length, 1, 'each ends once');
          assert.deepEqual(more, []);
          if (index - 1 === fails) assert.notEqual(failure, undefined, 'what failed is not acknowledged');
        }
      },
    ),
    { numRuns: 100 },
  );
});
