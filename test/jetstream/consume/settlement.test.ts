import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import type { Msg } from '../../../nodes/jetstream/server/nats';
import {
  describe as describeMessage,
  Settlement,
  type InFlightMessage,
  type MessageBatch,
  type SettlementHandler,
  type SettlementSettings,
} from '../../../nodes/jetstream/consume/settlement';
import { Delivery, type Failure } from '../../../nodes/shared/flow/delivery';
import { FlowError } from '../../../nodes/shared/errors';
import { Attempt, type Progress as FlowProgress } from '../../../nodes/shared/flow/settlement';
import { fakeClock, type FakeClock } from '../../support/clock';
import { watchHeartbeat } from '../../support/heartbeat';

watchHeartbeat();

/** A message as it arrives: `$JS.ACK.<stream>.<consumer>.<deliveries>.<sequence>.<consumer sequence>.<ns>.<pending>`. */
function message(sequence: number, { deliveries = 1, stored = 1 } = {}): Msg {
  const reply = `$JS.ACK.crm.flow.${deliveries}.${sequence}.${deliveries}.${stored}000000.0`;
  return { subject: `crm.contacts.${sequence}`, reply } as Msg;
}

const SETTINGS: SettlementSettings = {
  ackWait: 30_000,
  maxDeliver: 3,
  backoff: [1_000, 2_000],
  processingLimit: 60_000,
};

let consumers = 0;
/** When it was made: each at another time. */
const anotherConsumer = (): string => new Date(Date.UTC(2026, 0, 1) + ++consumers * 1_000).toISOString();

const rigs: Rig[] = [];
afterEach(() => rigs.splice(0).forEach(({ settlement }) => settlement.stop()));

/** A settlement whose every word is written down, e.g. "ack 7/2" for the second delivery of message 7. */
class Rig {
  readonly said: string[] = [];
  /** What is told to everybody, not only to who looks closely. */
  readonly log: string[] = [];
  readonly given: { message: InFlightMessage; failure: Failure; stored: () => void; stopped: () => void }[] =
    [];
  room = 0;
  readonly settlement: Settlement;
  leftFlow = 0;

  constructor(
    more: Partial<SettlementSettings> = {},
    readonly consumer = anotherConsumer(),
  ) {
    const say =
      (word: string) =>
      (reply: string, delay?: number): void => {
        const tokens = reply.split('.');
        this.said.push(`${word} ${tokens[5]}/${tokens[4]}${delay === undefined ? '' : ` in ${delay}`}`);
      };
    this.settlement = new Settlement(
      { ...SETTINGS, ...more },
      {
        acks: {
          ack: say('ack'),
          nak: say('nak'),
          term: say('term'),
          progress: say('working'),
          forget: () => void this.said.push('forget'),
        },
        deadLetter: (message, failure) =>
          new Promise((stored, reject) => {
            this.given.push({
              message,
              failure,
              stored,
              stopped: () => reject(new FlowError('CLOSED', 'x')),
            });
          }),
        released: () => void this.room++,
        log: (level, text) => void (level !== 'debug' && this.log.push(`${level}: ${text}`)),
      },
    );
    this.settlement.start('the durable', consumer);
    this.said.length = 0;
    rigs.push(this);
  }

  arrive(sequence: number, more: { deliveries?: number; stored?: number } = {}): InFlightMessage {
    const arrived = this.settlement.arrived(message(sequence, more));
    assert.ok(arrived, `message ${sequence} is new`);
    return arrived;
  }

  batch(...messages: InFlightMessage[]): MessageBatch {
    const batch = new Attempt(messages, this.settlement, () => void this.leftFlow++);
    for (const one of messages) one.attempt = batch;
    return batch;
  }

  /** A message that is in the flow. */
  inFlow(sequence: number, more: { deliveries?: number; stored?: number } = {}): MessageBatch {
    return this.batch(this.arrive(sequence, more));
  }

  /** What was said since the last look. */
  heard(): string[] {
    return this.said.splice(0);
  }
}

const fail = (batch: MessageBatch, error: unknown = new Error('no luck')): void => batch.finished({ error });
const forGood = (): FlowError => new FlowError('ROW_FAILED' as string, 'refused for good', false);

/** The flow's side of a batch. */
class Progress implements FlowProgress {
  abandoned = 0;
  constructor(
    public time = 0,
    private readonly nodes: string[] = [],
  ) {}
  processingTime = (): number => this.time;
  unfinishedNodes = (): string[] => this.nodes;
  abandon = (): void => void this.abandoned++;
}

describe('a message is settled once', () => {
  test('it is acknowledged when the flow has finished it, and makes room for another', () => {
    const rig = new Rig();
    const batch = rig.inFlow(7);
    assert.deepEqual([rig.settlement.size, rig.room], [1, 0]);
    assert.deepEqual(rig.heard(), []);
    batch.finished(undefined);
    assert.deepEqual(rig.heard(), ['ack 7/1']);
    assert.deepEqual([rig.settlement.size, rig.room, rig.leftFlow], [0, 1, 1]);
    assert.equal(batch.ended, true);
  });

  test('whatever the flow says after that is not said to the server', () => {
    const rig = new Rig();
    for (const end of [
      (batch: MessageBatch) => batch.succeeded(),
      (batch: MessageBatch) => fail(batch),
      (batch: MessageBatch) => batch.command({ action: 'nak' }),
      (batch: MessageBatch) => batch.command({ action: 'term' }),
    ]) {
      const batch = rig.inFlow(7 + rig.room);
      batch.progress = new Progress();
      end(batch);
      for (const { stored } of rig.given) stored();
      const [said] = [rig.heard(), (rig.given.length = 0)];
      assert.ok(said.length <= 1);
      const [room, left] = [rig.room, rig.leftFlow];
      const abandoned = (batch.progress as Progress).abandoned;
      batch.finished(undefined);
      fail(batch);
      batch.withdraw();
      for (const action of ['ack', 'nak', 'term', 'progress'] as const) batch.command({ action });
      assert.deepEqual([rig.heard(), rig.given], [[], []]);
      assert.deepEqual(
        [rig.room, rig.leftFlow, (batch.progress as Progress).abandoned],
        [room, left, abandoned],
      );
    }
  });

  test('messages of one batch are settled together', () => {
    const rig = new Rig();
    rig.batch(rig.arrive(1), rig.arrive(2)).finished(undefined);
    fail(rig.batch(rig.arrive(3), rig.arrive(4, { deliveries: 2 })));
    rig.batch(rig.arrive(5), rig.arrive(6)).command({ action: 'nak', delay: 5 });
    assert.deepEqual(rig.heard(), [
      'ack 1/1',
      'ack 2/1',
      'nak 3/1 in 1000',
      'nak 4/2 in 2000',
      'nak 5/1 in 5',
      'nak 6/1 in 5',
    ]);
    assert.deepEqual([rig.leftFlow, rig.room, rig.settlement.size], [3, 6, 0]);
  });
});

describe('a failed message comes again', () => {
  test('by its own backoff, whose last entry repeats', () => {
    const rig = new Rig({ maxDeliver: 10 });
    for (const deliveries of [1, 2, 3, 9]) fail(rig.inFlow(7, { deliveries }));
    assert.deepEqual(rig.heard(), [
      'nak 7/1 in 1000',
      'nak 7/2 in 2000',
      'nak 7/3 in 2000',
      'nak 7/9 in 2000',
    ]);
    assert.deepEqual([rig.given, rig.settlement.size, rig.room], [[], 0, 4]);
  });

  test('without a backoff after the ack wait', () => {
    const rig = new Rig({ backoff: [] });
    fail(rig.inFlow(7));
    assert.deepEqual(rig.heard(), ['nak 7/1 in 30000']);
  });

  test('and the log says which one, when, and why', () => {
    const rig = new Rig({ maxDeliver: 10 });
    fail(rig.inFlow(7, { deliveries: 2 }));
    assert.deepEqual(rig.log, [
      'warn: no luck. Message 7 of the stream "crm" (crm.contacts.7, delivery 2) failed and comes again in 2s',
    ]);
    assert.equal(
      describeMessage(rig.arrive(8)),
      'Message 8 of the stream "crm" (crm.contacts.8, delivery 1)',
    );
  });

  test('and the log names the node where it failed', () => {
    const rig = new Rig();
    rig.inFlow(7).finished({ error: new Error('no'), node: { id: 'n1', type: 'function', name: 'check' } });
    assert.match(
      rig.log[0] ?? '',
      /^warn: no\. .* delivery 1\) failed in function "check" and comes again in 1s$/,
    );
  });

  test('also where it failed before it was in the flow', () => {
    const rig = new Rig();
    rig.settlement.fail(rig.arrive(7), { error: new Error('unreadable') });
    rig.settlement.fail(rig.arrive(8), { error: forGood() });
    assert.deepEqual([rig.heard(), rig.given.length], [['nak 7/1 in 1000'], 1]);
  });

  test('any number of times without a limit', () => {
    for (const maxDeliver of [-1, 0]) {
      const rig = new Rig({ maxDeliver });
      const batch = rig.inFlow(7, { deliveries: 1_000 });
      assert.equal(rig.settlement.isExhausted(batch.items[0] as InFlightMessage), false);
      fail(batch);
      assert.deepEqual([rig.heard(), rig.given], [['nak 7/1000 in 2000'], []]);
    }
  });
});

describe('a message is given up', () => {
  test('after maxDeliver deliveries, only when its dead letter is stored', async () => {
    const rig = new Rig();
    const batch = rig.inFlow(7, { deliveries: 3 });
    fail(batch);
    assert.equal((rig.given[0]?.failure.error as Error).message, 'no luck');
    assert.equal(rig.given[0]?.message, batch.items[0]);
    await turn();
    assert.deepEqual([rig.heard(), rig.settlement.size, rig.room], [[], 1, 0], 'it is held until then');
    rig.given[0]?.stored();
    await turn();
    assert.deepEqual([rig.heard(), rig.settlement.size, rig.room], [['term 7/3'], 0, 1]);
  });

  test('at once where the error says that no repetition helps', async () => {
    const rig = new Rig();
    fail(rig.inFlow(7), forGood());
    rig.given[0]?.stored();
    await turn();
    assert.deepEqual([rig.heard(), rig.log], [['term 7/1'], []]);
  });

  test('not while its dead letter can not be stored: it goes back, and the delivery does not count', async () => {
    const rig = new Rig();
    fail(rig.inFlow(7, { deliveries: 3 }));
    rig.given[0]?.stopped();
    await turn();
    assert.deepEqual([rig.heard(), rig.settlement.size], [['nak 7/3 in 0'], 0]);
    fail(rig.inFlow(7, { deliveries: 4 }));
    assert.equal(rig.given.length, 2, 'what failed three times has failed three times');
  });

  test('a message that was delivered once more than allowed is exhausted', () => {
    const rig = new Rig();
    assert.equal(rig.settlement.isExhausted(rig.arrive(7, { deliveries: 3 })), false);
    assert.equal(rig.settlement.isExhausted(rig.arrive(8, { deliveries: 4 })), true);
    const once = new Rig({ maxDeliver: 1 });
    assert.equal(once.settlement.isExhausted(once.arrive(7, { deliveries: 2 })), true);
    fail(once.inFlow(8));
    assert.equal(once.given.length, 1);
  });
});

describe('a delivery that is no fault of the message does not count', () => {
  for (const [code, delay] of [
    ['NODE_CLOSED', 0],
    ['CLOSED', 0],
    ['NOT_WIRED', 100],
  ] as const) {
    test(`${code}: it comes back after ${delay} ms`, () => {
      const rig = new Rig();
      fail(rig.inFlow(7, { deliveries: 3 }), new FlowError(code, 'not its fault', false));
      assert.deepEqual([rig.heard(), rig.given, rig.log], [[`nak 7/3 in ${delay}`], [], []]);
      fail(rig.inFlow(7, { deliveries: 4 }));
      assert.equal(rig.given.length, 1, 'the failure after that is its third');
    });
  }

  test('stopped again and again it comes back after growing pauses, 1 s at most, until it fails by itself', () => {
    const rig = new Rig({ maxDeliver: 100 });
    const closed = (deliveries: number): void =>
      fail(rig.inFlow(7, { deliveries }), new FlowError('CLOSED', 'deployed'));
    for (let deliveries = 1; deliveries <= 9; deliveries++) closed(deliveries);
    assert.deepEqual(
      rig.heard(),
      [0, 10, 30, 70, 150, 310, 630, 1_000, 1_000].map((delay, i) => `nak 7/${i + 1} in ${delay}`),
    );
    fail(rig.inFlow(7, { deliveries: 10 }));
    closed(11);
    assert.deepEqual(rig.heard(), ['nak 7/10 in 1000', 'nak 7/11 in 0']);
  });

  test('an outage of NATS or the org is no try, however long it lasts', () => {
    const rig = new Rig();
    const outages = [
      new FlowError('DISCONNECTED', 'x'),
      Object.assign(new FlowError('HTTP_503', 'x'), { outage: true }),
    ];
    for (let deliveries = 1; deliveries <= 6; deliveries++)
      fail(rig.inFlow(7, { deliveries }), outages[deliveries % 2]);
    assert.deepEqual(
      rig.heard(),
      [2_000, 4_000, 8_000, 16_000, 30_000, 30_000].map((delay, i) => `nak 7/${i + 1} in ${delay}`),
    );
    assert.equal(rig.settlement.isExhausted(rig.arrive(7, { deliveries: 7 })), false);
    assert.deepEqual([rig.given, rig.log], [[], []]);
  });

  test('the backoff goes by failures', () => {
    const rig = new Rig();
    rig.settlement.giveBack(rig.arrive(7));
    rig.settlement.giveBack(rig.arrive(7, { deliveries: 2 }));
    fail(rig.inFlow(7, { deliveries: 3 }));
    fail(rig.inFlow(8, { deliveries: 2 }));
    assert.deepEqual(rig.heard(), ['nak 7/1 in 0', 'nak 7/2 in 0', 'nak 7/3 in 1000', 'nak 8/2 in 2000']);
  });

  test('nor does it exhaust the message', () => {
    const rig = new Rig();
    rig.settlement.giveBack(rig.arrive(7, { deliveries: 3 }), 5);
    assert.equal(rig.settlement.isExhausted(rig.arrive(7, { deliveries: 4 })), false);
    assert.deepEqual(rig.heard(), ['nak 7/3 in 5']);
  });

  test('nor one that came while the message was held, because the server heard nothing of it for long', () => {
    const rig = new Rig();
    const batch = rig.inFlow(7, { deliveries: 2 });
    assert.equal(rig.settlement.arrived(message(7, { deliveries: 5 })), undefined);
    assert.equal(rig.settlement.arrived(message(7, { deliveries: 5 })), undefined);
    fail(batch);
    assert.deepEqual(rig.heard(), ['nak 7/5 in 2000'], 'its second failure');
  });
});

describe('a message that arrives again', () => {
  test('while it is held is the same one, answered on its latest ack subject', () => {
    const rig = new Rig();
    const batch = rig.inFlow(7);
    assert.equal(rig.settlement.arrived(message(7, { deliveries: 2 })), undefined);
    assert.equal(rig.settlement.size, 1);
    batch.finished(undefined);
    assert.deepEqual(rig.heard(), ['ack 7/2']);
  });

  test('after it was settled is answered again, and not worked on', async () => {
    const rig = new Rig();
    rig.inFlow(7).finished(undefined);
    fail(rig.inFlow(8), forGood());
    rig.given[0]?.stored();
    await turn();
    rig.heard();
    assert.equal(rig.settlement.arrived(message(7, { deliveries: 2 })), undefined);
    assert.equal(rig.settlement.arrived(message(8, { deliveries: 2 })), undefined);
    assert.deepEqual([rig.heard(), rig.settlement.size], [['ack 7/2', 'term 8/2'], 0]);
  });

  test('after it failed is worked on', () => {
    const rig = new Rig();
    fail(rig.inFlow(7));
    rig.inFlow(7, { deliveries: 2 }).finished(undefined);
    assert.deepEqual(rig.heard(), ['nak 7/1 in 1000', 'ack 7/2']);
  });

  test('is known after a redeploy too, with the deliveries that did not count', () => {
    const before = new Rig();
    before.inFlow(7).finished(undefined);
    before.inFlow(8);
    before.settlement.stop();
    const after = new Rig({ maxDeliver: 1 }, before.consumer);
    assert.equal(after.settlement.arrived(message(7, { deliveries: 2 })), undefined);
    assert.equal(after.settlement.isExhausted(after.arrive(8, { deliveries: 2 })), false);
    assert.deepEqual(after.heard(), ['ack 7/2']);
  });

  test('is known for 20,000 messages at least', () => {
    const rig = new Rig();
    rig.inFlow(1).finished(undefined);
    for (let sequence = 2; sequence <= 20_000; sequence++) rig.inFlow(sequence).finished(undefined);
    assert.equal(rig.settlement.arrived(message(1, { deliveries: 2 })), undefined);
  });
});

describe('where the durable or the stream was made anew', () => {
  test('messages of the former one are not answered on the new one', async () => {
    const rig = new Rig();
    const [acked, failed, refused, dead] = [1, 2, 3, 4].map((sequence) => rig.inFlow(sequence));
    fail(dead as MessageBatch, forGood());
    rig.inFlow(5);
    rig.settlement.start('the durable', anotherConsumer());
    assert.deepEqual(rig.heard(), ['forget'], 'nor what was said to the former one and not read');
    (acked as MessageBatch).finished(undefined);
    fail(failed as MessageBatch);
    (refused as MessageBatch).command({ action: 'progress' });
    (refused as MessageBatch).command({ action: 'nak' });
    rig.given[0]?.stored();
    await turn();
    rig.settlement.stop();
    assert.deepEqual([rig.heard(), rig.settlement.size, rig.room], [[], 0, 5]);
  });

  test('a durable that is the same after a reconnect is answered', () => {
    const rig = new Rig();
    const batch = rig.inFlow(1);
    rig.settlement.start('the durable', rig.consumer);
    batch.finished(undefined);
    assert.deepEqual(rig.heard(), ['ack 1/1']);
  });

  test('a durable whose time comes back a little later after a restart of the server is the same', () => {
    const later = (rig: Rig, ms: number) => new Date(Date.parse(rig.consumer) + ms).toISOString();
    for (const [ms, said] of [
      [5, ['ack 1/1']],
      [-5, ['ack 1/1']],
      [6, ['forget']],
      [-6, ['forget']],
    ] as const) {
      const rig = new Rig();
      const batch = rig.inFlow(1);
      rig.settlement.start('the durable', later(rig, ms));
      batch.finished(undefined);
      assert.deepEqual(rig.heard(), said, `${ms} ms`);
    }
  });

  test('what was settled there is worked on again', () => {
    const rig = new Rig();
    rig.inFlow(7).finished(undefined);
    rig.settlement.start('the durable', anotherConsumer());
    rig.heard();
    rig.inFlow(7).finished(undefined);
    assert.deepEqual(rig.heard(), ['ack 7/1']);
  });

  test('a message that is held for the former one comes again, and is answered there', () => {
    const rig = new Rig();
    const former = rig.inFlow(7);
    rig.settlement.start('the durable', anotherConsumer());
    const current = rig.inFlow(7);
    rig.heard();
    former.finished(undefined);
    assert.deepEqual(rig.heard(), []);
    current.finished(undefined);
    assert.deepEqual(rig.heard(), ['ack 7/1']);
  });

  test('the same sequence is another message, and the end of the former one leaves it alone', () => {
    const rig = new Rig();
    const former = rig.inFlow(7, { stored: 1 });
    rig.settlement.start('the durable', anotherConsumer());
    const current = rig.inFlow(7, { stored: 2 });
    rig.heard();
    former.finished(undefined);
    assert.deepEqual([rig.heard(), rig.settlement.size], [[], 1]);
    current.finished(undefined);
    assert.deepEqual([rig.heard(), rig.settlement.size], [['ack 7/1'], 0]);
  });

  test('a dead letter of the former one that is stored late does not end the message in its place', async () => {
    const rig = new Rig();
    fail(rig.inFlow(7, { stored: 1 }), forGood());
    rig.arrive(7, { stored: 2 });
    rig.given[0]?.stored();
    await turn();
    assert.deepEqual([rig.heard(), rig.settlement.size], [[], 1]);
  });

  test('nor does one that is refused late', async () => {
    const rig = new Rig();
    fail(rig.inFlow(7, { stored: 1 }), forGood());
    rig.arrive(7, { stored: 2 });
    rig.given[0]?.stopped();
    await turn();
    assert.deepEqual([rig.heard(), rig.settlement.size], [[], 1]);
  });
});

describe('what the flow itself asks for', () => {
  test('ack settles at once, and what the flow still does does not count', () => {
    const rig = new Rig();
    const batch = rig.inFlow(7);
    const progress = (batch.progress = new Progress());
    batch.command({ action: 'ack' });
    assert.deepEqual([rig.heard(), progress.abandoned], [['ack 7/1'], 1]);
  });

  test('nak sends it back after its delay, 0 included, else by the backoff', () => {
    const rig = new Rig();
    rig.inFlow(1).command({ action: 'nak', delay: 45 });
    rig.inFlow(2).command({ action: 'nak', delay: 0 });
    rig.inFlow(3, { deliveries: 2 }).command({ action: 'nak' });
    assert.deepEqual(rig.heard(), ['nak 1/1 in 45', 'nak 2/1 in 0', 'nak 3/2 in 2000']);
  });

  test('nak at the last delivery, and term at any, give it up by the dead letter', async () => {
    const rig = new Rig();
    const batch = rig.inFlow(1, { deliveries: 3 });
    const progress = (batch.progress = new Progress());
    batch.command({ action: 'nak', delay: 45 });
    rig.inFlow(2).command({ action: 'term' });
    assert.deepEqual(
      rig.given.map(({ failure: { error } }) => [(error as FlowError).code, (error as FlowError).message]),
      [
        ['REFUSED', 'The flow refused the message (nak)'],
        ['REFUSED', 'The flow refused the message (term)'],
      ],
    );
    assert.deepEqual([rig.heard(), progress.abandoned], [[], 1]);
    for (const { stored } of rig.given) stored();
    await turn();
    assert.deepEqual(rig.heard(), ['term 1/3', 'term 2/1']);
  });

  test('progress keeps it from being delivered again, and settles nothing', () => {
    const rig = new Rig();
    const batch = rig.batch(rig.arrive(1), rig.arrive(2));
    const progress = (batch.progress = new Progress());
    batch.command({ action: 'progress' });
    assert.deepEqual(
      [rig.heard(), batch.ended, progress.abandoned],
      [['working 1/1', 'working 2/1'], false, 0],
    );
    batch.finished(undefined);
    assert.deepEqual(rig.heard(), ['ack 1/1', 'ack 2/1']);
  });
});

describe('as time goes by', () => {
  let clock: FakeClock;
  beforeEach(() => (clock = fakeClock(['setInterval'])));
  afterEach(() => clock.reset());
  const pass = (ms: number, step?: number): void => clock.pass(ms, step);

  test('a held message is extended after a third of the ack wait, and again', () => {
    const rig = new Rig();
    rig.inFlow(7);
    pass(10_000);
    assert.deepEqual(rig.heard(), []);
    pass(1_000);
    assert.deepEqual(rig.heard(), ['working 7/1']);
    pass(10_000);
    assert.deepEqual(rig.heard(), []);
    pass(1_000);
    assert.deepEqual(rig.heard(), ['working 7/1']);
  });

  test('it is extended though the wall clock is set back, and not failed where it is set forward', () => {
    const rig = new Rig({ ackWait: 600 });
    const batch = rig.inFlow(7);
    batch.progress = new Delivery('t', 't', batch, true, () => undefined);
    clock.setWallClock(-3_600_000);
    pass(360, 120);
    assert.deepEqual(rig.heard(), ['working 7/1']);
    clock.setWallClock(3_600_000 + 660_000);
    pass(240, 120);
    assert.deepEqual([rig.heard(), rig.log, batch.ended], [['working 7/1'], [], false]);
  });

  test('a batch that is out of time is not extended by any of its messages', () => {
    const rig = new Rig();
    const batch = rig.batch(rig.arrive(1), rig.arrive(2));
    const progress = (batch.progress = new Progress());
    pass(9_000);
    progress.time = 60_001;
    pass(2_000, 2_000);
    assert.deepEqual(rig.heard(), ['nak 1/1 in 1000', 'nak 2/1 in 1000']);
  });

  test('a short ack wait is looked after more often, but not more than every 20 ms', () => {
    const rig = new Rig({ ackWait: 600 });
    rig.inFlow(7);
    pass(239, 1);
    assert.deepEqual(rig.heard(), []);
    pass(1);
    assert.deepEqual(rig.heard(), ['working 7/1']);
    const hasty = new Rig({ ackWait: 15 });
    hasty.inFlow(7);
    pass(19);
    assert.deepEqual(hasty.heard(), []);
    pass(1);
    assert.deepEqual(hasty.heard(), ['working 7/1']);
  });

  test('the flow asking for more time, or the server delivering it again, begins the third anew', () => {
    const rig = new Rig();
    const batch = rig.inFlow(7);
    pass(8_000);
    batch.command({ action: 'progress' });
    pass(8_000);
    rig.settlement.arrived(message(7, { deliveries: 2 }));
    rig.heard();
    pass(10_000);
    assert.deepEqual(rig.heard(), []);
    pass(1_000);
    assert.deepEqual(rig.heard(), ['working 7/2']);
  });

  test('a message whose dead letter is not stored yet is extended too, whatever the processing limit', () => {
    const rig = new Rig();
    const batch = rig.inFlow(7);
    batch.progress = new Progress(100_000);
    fail(batch, forGood());
    pass(11_000);
    assert.deepEqual([rig.heard(), rig.given.length], [['working 7/1'], 1]);
  });

  test('a flow that is over its processing limit fails the message and is forgotten', () => {
    const rig = new Rig();
    const batch = rig.inFlow(7);
    const progress = (batch.progress = new Progress(60_000, ['function "forgetful"', 'delay d']));
    pass(1_000);
    assert.deepEqual([rig.heard(), progress.abandoned], [[], 0], 'not at the limit yet');
    progress.time = 60_001;
    pass(1_000);
    assert.deepEqual([rig.heard(), progress.abandoned], [['nak 7/1 in 1000'], 1]);
    assert.match(
      rig.log[0] ?? '',
      /^warn: The flow did not finish the message within 1m; not finished: function "forgetful", delay d\. Message 7 /,
    );
    batch.finished(undefined);
    pass(5_000);
    assert.deepEqual(rig.heard(), []);
  });

  test('a limit that is passed by the last delivery is why the message is a dead letter', () => {
    const rig = new Rig();
    rig.inFlow(7, { deliveries: 3 }).progress = new Progress(60_001);
    pass(1_000);
    const [{ failure } = { failure: undefined }] = rig.given;
    assert.deepEqual(
      [(failure?.error as FlowError).code, (failure?.error as FlowError).message],
      ['PROCESSING_LIMIT', 'The flow did not finish the message within 1m'],
    );
  });

  test('only the time in the flow counts', () => {
    const rig = new Rig({ processingLimit: 0 });
    rig.arrive(1); // gathers for a batch
    rig.inFlow(2); // not told how the flow does
    rig.inFlow(3).progress = new Progress(0); // paused
    pass(11_000);
    assert.deepEqual(rig.heard(), ['working 1/1', 'working 2/1', 'working 3/1']);
  });

  test('after stop nothing is extended, also where it was started twice', () => {
    const rig = new Rig();
    rig.settlement.start('the durable', rig.consumer);
    rig.settlement.stop();
    rig.arrive(7);
    pass(60_000);
    assert.deepEqual(rig.heard(), []);
  });
});

describe('stop', () => {
  test('before the start ends nothing', () => {
    const unused = { acks: {}, deadLetter: () => Promise.resolve() } as unknown as SettlementHandler;
    const settlement = new Settlement(SETTINGS, unused);
    settlement.stop();
    assert.equal(settlement.size, 0);
  });

  test('gives back what is held, as deliveries that do not count, and answers nothing twice', () => {
    const rig = new Rig({ maxDeliver: 1 });
    const progress = new Progress();
    const batch = rig.inFlow(1);
    batch.progress = progress;
    rig.arrive(2);
    rig.settlement.stop();
    assert.deepEqual(rig.heard(), ['nak 1/1 in 0', 'nak 2/1 in 0']);
    assert.deepEqual([rig.settlement.size, rig.room, progress.abandoned], [0, 2, 1]);
    batch.finished(undefined);
    fail(batch);
    batch.command({ action: 'term' });
    rig.settlement.stop();
    assert.deepEqual(rig.heard(), []);
    assert.equal(rig.settlement.isExhausted(rig.arrive(1, { deliveries: 2 })), false);
  });

  test('gives back a message whose dead letter is on its way, and does not end it when that arrives', async () => {
    for (const end of ['stored', 'stopped'] as const) {
      const rig = new Rig();
      fail(rig.inFlow(1), forGood());
      rig.settlement.stop();
      assert.deepEqual(rig.heard(), ['nak 1/1 in 0']);
      rig.given[0]?.[end]();
      await turn();
      assert.deepEqual([rig.heard(), rig.room], [[], 1]);
      rig.arrive(1, { deliveries: 2 });
    }
  });
});

describe('a message that was in the flow when a process ended', () => {
  test('is suspect at once where those were few', () => {
    const { settlement, ...rig } = rigAfterCrash({ fewUntil: 9 });
    assert.equal(settlement.isSuspect(rig.arrive(8, { deliveries: 2 })), true);
    assert.equal(settlement.isSuspect(rig.arrive(9)), false, 'it was never delivered before');
    assert.equal(settlement.isSuspect(rig.arrive(10, { deliveries: 2 })), false, 'it came later');
  });

  test('is suspect from the second time in a row on where those were many', () => {
    const { settlement, ...rig } = rigAfterCrash({ fewUntil: 0 });
    assert.equal(settlement.isSuspect(rig.arrive(7, { deliveries: 2 })), false);
    assert.equal(settlement.isSuspect(rig.arrive(8, { deliveries: 3 })), true);
  });

  test('is not suspect where it is known how it was in between', () => {
    const { settlement, ...rig } = rigAfterCrash({ fewUntil: 0 });
    settlement.retry(rig.arrive(8, { deliveries: 2 }), 0);
    assert.equal(settlement.isSuspect(rig.arrive(8, { deliveries: 4 })), false);
  });

  /** One that had delivered up to message 9. */
  function rigAfterCrash({ fewUntil }: { fewUntil: number }) {
    const rig = new Rig();
    const { settlement } = rig;
    const memory = settlement.start('the durable', rig.consumer);
    Object.assign(memory, { crashedUntil: 9, fewUntil });
    return { settlement, arrive: rig.arrive.bind(rig) };
  }
});

test('what was sent back is waited for by a clock that nobody sets, and told by the one on the wall', (t) => {
  const clock = fakeClock([]);
  t.after(() => clock.reset());
  const rig = new Rig();
  rig.settlement.retry(rig.arrive(7), 1_000);
  assert.deepEqual(rig.settlement.sentBack(), { count: 1, first: Date.now() + 1_000 });
  clock.setWallClock(-3_600_000);
  assert.deepEqual(rig.settlement.sentBack(), { count: 1, first: Date.now() + 1_000 });
  clock.pass(1_000);
  assert.deepEqual(rig.settlement.sentBack(), { count: 0, first: Infinity });
});
