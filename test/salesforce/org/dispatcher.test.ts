import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, mock, test } from 'node:test';
import { Dispatcher, type DispatcherOptions, type Queue } from '../../../nodes/salesforce/org/dispatcher';
import { OrgOutage } from '../../../nodes/salesforce/org/outage';
import { FRESH, type Item } from '../../../nodes/salesforce/org/repeats';
import { FlowError } from '../../../nodes/shared/errors';
import { turns } from '../fake-org';

interface Message {
  open: number;
  error?: FlowError;
}
interface Thing extends Item<Message> {
  name: string;
}
interface Request {
  things: Thing[];
  over: () => void;
}

let now: number;
let waiting: Thing[];
/** Requests without an answer, and what was sent by each that ever was. */
let requests: Request[];
let sent: string[];
let current: { code: string; message: string } | undefined;
let listeners: Set<() => void>;
let may: boolean;
let paused: number;
let changes: number;
let dispatcher: Dispatcher<Message, Thing, Request, string>;
let size: number;

const queue: Queue<Thing, Request> = {
  take: (time, onlyFull) => {
    const ready = waiting.filter((one) => one.notBefore <= time);
    const things = ready.filter((one) => one.group === ready[0]?.group).slice(0, size);
    if (things.length === 0 || (onlyFull && things.length < size)) return undefined;
    waiting = waiting.filter((one) => !things.includes(one));
    return { things, over: () => undefined };
  },
  nextReady: (time) => {
    const times = waiting.map((one) => one.notBefore).filter((ready) => ready > time);
    return times.length > 0 ? Math.min(...times) : undefined;
  },
  putBack: (things) => void waiting.unshift(...things),
  drain: () => waiting.splice(0),
  withdraw: (unwanted) => {
    const taken = waiting.filter(unwanted);
    waiting = waiting.filter((one) => !unwanted(one));
    return taken;
  },
};

beforeEach(() => {
  [now, size, paused, changes] = [1_000, 2, 0, 0];
  [waiting, requests, sent, current, may] = [[], [], [], undefined, true];
  listeners = new Set();
  mock.timers.enable({ apis: ['setTimeout'] });
  mock.method(performance, 'now', () => now);
  mock.method(Math, 'random', () => 0.5);
  start();
});
afterEach(() => {
  mock.timers.reset();
  mock.restoreAll();
});

function start(options: Partial<DispatcherOptions> = {}): void {
  const org = {
    availability: {
      get current() {
        return current && { ...current, reason: 'unreachable' as const, since: 0, nextProbe: 0 };
      },
    },
    onChange: (listener: () => void) => {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
  };
  const settle = (messages: Iterable<Message>) => {
    for (const message of messages)
      if (message.open === 0)
        dispatcher.answer(message, () => {
          if (message.error) throw message.error;
          return 'done';
        });
  };
  const carrier = {
    mayBegin: () => may,
    send: (request: Request) => {
      sent.push(request.things.map(({ name }) => name).join(''));
      requests.push(request);
      return new Promise<void>((resolve) => (request.over = resolve));
    },
    giveUp: (things: readonly Thing[], error: FlowError) => {
      for (const { message } of things) {
        message.open--;
        message.error = error;
      }
      settle(things.map(({ message }) => message));
    },
    settle,
  };
  const retry = { first: 100, longest: 300, times: 3, spread: 0.5 };
  const all = { maxRequests: 2, largest: 8, onOutage: 'hold' as const, retry, ...options };
  dispatcher = new Dispatcher(org, queue, carrier, all, () => changes++);
}

interface Answer {
  state: string;
  error?: FlowError;
}
/** A message with a thing for each letter. */
function accept(names: string): Answer {
  const answer: Answer = { state: 'waits' };
  const pause = () => {
    paused++;
    return () => void paused--;
  };
  dispatcher
    .accept(pause, () => {
      const message: Message = { open: names.length };
      waiting.push(...[...names].map((name) => ({ name, message, ...FRESH })));
      return message;
    })
    .then(
      (state) => (answer.state = state),
      (error: FlowError) => Object.assign(answer, { state: error.code, error }),
    );
  return answer;
}
/** The first request without an answer is over, after `settle` has done something with its things. */
async function over(settle?: (things: Thing[]) => void): Promise<void> {
  const request = requests.shift() ?? assert.fail('nothing is under way');
  if (settle) settle(request.things);
  else
    for (const { message } of request.things)
      if (--message.open === 0) dispatcher.answer(message, () => 'done');
  request.over();
  await turns();
}
async function pass(ms: number): Promise<void> {
  now += ms;
  mock.timers.tick(ms);
  await turns();
}
async function become(unavailable: boolean): Promise<void> {
  current = unavailable ? { code: 'GONE', message: 'the org is gone' } : undefined;
  for (const listener of listeners) listener();
  await turns();
}
const lost = new OrgOutage('unreachable', 'LOST', 'no answer', true);

describe('requests', () => {
  test('an idle dispatcher sends at once; messages of the same moment go together', async () => {
    accept('a');
    accept('b');
    assert.deepEqual(sent, []);
    await turns();
    assert.deepEqual(sent, ['ab']);
  });

  test('another starts beside one only when it is full, and no more than may be at once', async () => {
    accept('a');
    await turns();
    accept('b');
    await turns();
    assert.deepEqual(sent, ['a']);
    accept('cdef');
    await turns();
    assert.deepEqual(sent, ['a', 'bc']);
    assert.equal(dispatcher.underWay.length, 2);
    await over();
    assert.deepEqual(sent, ['a', 'bc', 'de']);
  });

  test('as many messages of a moment as a request takes do not wait for the others of it', async () => {
    size = 8;
    for (const name of 'abcdefg') accept(name);
    assert.deepEqual(sent, []);
    accept('h');
    assert.deepEqual(sent, ['abcdefgh']);
    for (const name of 'ijk') accept(name);
    await turns();
    assert.deepEqual(sent, ['abcdefgh'], 'the others wait, as beside any request');
  });

  test('many messages of a moment that fill no request go together', async () => {
    size = 20;
    for (const name of 'abcdefghij') accept(name);
    assert.deepEqual(sent, []);
    await turns();
    assert.deepEqual(sent, ['abcdefghij']);
  });

  test('a full one follows another before that one is handed on, one that is not full a turn later', async () => {
    accept('ab');
    await turns();
    accept('cd');
    accept('ef');
    accept('g');
    await turns();
    assert.deepEqual(sent, ['ab', 'cd']);
    const [first, second] = requests.splice(0) as [Request, Request];
    dispatcher.over(first);
    assert.deepEqual(sent, ['ab', 'cd', 'ef']);
    dispatcher.over(second);
    assert.deepEqual(sent, ['ab', 'cd', 'ef']);
  });

  test('none follows another once it is closing', async () => {
    accept('ab');
    await turns();
    void dispatcher.close(1_000);
    waiting.push(
      { name: 'c', message: { open: 1 }, ...FRESH },
      { name: 'd', message: { open: 1 }, ...FRESH },
    );
    dispatcher.over(requests[0] as Request);
    assert.deepEqual(sent, ['ab']);
  });

  test('none begins while the carrier says no', async () => {
    may = false;
    accept('a');
    await turns();
    may = true;
    await turns();
    assert.deepEqual(sent, []);
    dispatcher.wake();
    await turns();
    assert.deepEqual(sent, ['a']);
  });

  test('each change is told', async () => {
    accept('a');
    await turns();
    assert.equal(changes, 1);
    await over();
    assert.equal(changes, 2);
  });
});

describe('a message', () => {
  test('is answered once, when all of it is over', async () => {
    const answer = accept('abc');
    await turns();
    await over();
    assert.equal(answer.state, 'waits');
    await over();
    assert.equal(answer.state, 'done');
  });

  test('of nothing is answered at once', async () => {
    const answer = accept('');
    await turns();
    assert.deepEqual([answer.state, sent], ['done', []]);
  });

  test('that can’t be queued is refused with what was thrown', async () => {
    const refused = dispatcher.accept(
      () => assert.fail('its clock is stopped'),
      () => {
        throw new FlowError('INVALID_PAYLOAD', 'no', false);
      },
    );
    await assert.rejects(refused, { code: 'INVALID_PAYLOAD' });
  });
});

describe('what comes back', () => {
  test('goes before all that came later', async () => {
    accept('ab');
    await turns();
    accept('c');
    await over((things) => dispatcher.putBack(things));
    assert.deepEqual(sent, ['ab', 'ab']);
  });

  test('refused for a reason that passes goes after a pause, twice as long each time up to the longest', async () => {
    accept('ab');
    await turns();
    for (const pause of [100, 200, 300]) {
      const before = sent.length;
      assert.equal(dispatcher.isExhausted(requests[0]?.things[0] as Thing), false);
      await over((things) => dispatcher.retryLater(things));
      await pass(pause - 1);
      assert.equal(sent.length, before);
      await pass(1);
      assert.deepEqual(sent.slice(before), ['ab'], 'those that were refused together go together');
    }
    assert.equal(dispatcher.isExhausted(requests[0]?.things[0] as Thing), true);
  });

  test('is not waited for by a timer while another request is under way, as its end looks anyway', async () => {
    size = 1;
    accept('ab');
    await turns();
    await over((things) => dispatcher.retryLater(things));
    await pass(100);
    assert.deepEqual(sent, ['a', 'b']);
    await over();
    assert.deepEqual(sent, ['a', 'b', 'a']);
  });

  test('a pause is given or taken a share of it', async () => {
    mock.method(Math, 'random', () => 0);
    accept('a');
    await turns();
    await over((things) => dispatcher.retryLater(things));
    await pass(49);
    assert.equal(sent.length, 1);
    await pass(1);
    assert.equal(sent.length, 2);
    mock.method(Math, 'random', () => 1);
    await over((things) => dispatcher.retryLater(things));
    await pass(299);
    assert.equal(sent.length, 2);
    await pass(1);
    assert.equal(sent.length, 3);
  });

  test('apart goes in two halves, which meet no others', async () => {
    size = 5;
    accept('abcde');
    await turns();
    accept('f');
    await over((things) => dispatcher.sendApart(things));
    assert.deepEqual(sent.slice(1), ['abc']);
    await over();
    assert.deepEqual(sent.slice(2), ['de']);
    await over();
    assert.deepEqual(sent.slice(3), ['f']);
  });
});

describe('what was lost', () => {
  test('is sent again, and halved when it was lost twice', async () => {
    size = 4;
    accept('abcd');
    await turns();
    await over((things) => dispatcher.lost(things, lost));
    assert.deepEqual(sent.slice(1), ['abcd']);
    await over((things) => dispatcher.lost(things, lost));
    assert.deepEqual(sent.slice(2), ['ab']);
  });

  test('is given up after two losses and as many as it takes to halve the largest request', async () => {
    const answer = accept('a');
    await turns();
    for (let losses = 1; losses < 5; losses++) {
      await over((things) => dispatcher.lost(things, lost));
      assert.deepEqual([answer.state, sent.length], ['waits', losses + 1]);
    }
    await over((things) => dispatcher.lost(things, lost));
    assert.deepEqual([answer.error?.code, answer.error?.retryable], ['ORG_FAILED_REPEATEDLY', true]);
    assert.equal(answer.error?.message, 'The org answers, but failed 5 times on this message: no answer');
    assert.equal(sent.length, 5);
  });

  test('counts but once where the org itself may be at fault', async () => {
    const answer = accept('ab');
    await turns();
    for (let i = 0; i < 10; i++) {
      assert.equal(requests[0]?.things[0]?.losses, Math.min(i, 1));
      await over((things) => dispatcher.lost(things, lost, false));
    }
    assert.deepEqual([answer.state, sent.at(-1)], ['waits', 'ab']);
  });

  test('does not keep those from going on that were with it', async () => {
    const [spoilt, other] = [accept('a'), accept('b')];
    await turns();
    (requests[0]?.things[0] as Thing).losses = 4;
    await over((things) => dispatcher.lost(things, lost));
    assert.deepEqual([spoilt.state, other.state, sent.at(-1)], ['ORG_FAILED_REPEATEDLY', 'waits', 'b']);
  });
});

describe('while the org is unavailable', () => {
  test('messages wait with their clocks stopped, once each, and go when it is over', async () => {
    accept('a');
    await become(true);
    accept('b');
    await become(true);
    assert.deepEqual([sent, paused], [[], 2]);
    await become(false);
    assert.deepEqual([sent, paused], [['ab'], 0]);
    await become(true);
    assert.equal(paused, 2, 'a clock that goes on is stopped again');
    await over();
    assert.equal(paused, 0);
  });

  test('no timer wakes it', async () => {
    accept('a');
    await turns();
    await over((things) => {
      dispatcher.retryLater(things);
      current = { code: 'GONE', message: 'gone' };
    });
    const before = changes;
    await pass(1_000);
    assert.deepEqual([sent, changes], [['a'], before]);
  });

  test('it is told that something has changed', async () => {
    await become(true);
    assert.equal(changes, 1);
  });

  describe('with onOutage fail', () => {
    beforeEach(() => start({ onOutage: 'fail' }));

    test('what waits and what comes fails at once, retryable, with the org’s reason', async () => {
      const before = accept('a');
      await become(true);
      const after = accept('b');
      await turns();
      for (const { error } of [before, after])
        assert.deepEqual([error?.code, error?.message, error?.retryable], ['GONE', 'the org is gone', true]);
      assert.deepEqual([sent, paused, waiting], [[], 0, []]);
    });

    test('what comes back fails, for the reason it came back for or the org’s', async () => {
      const [first, second] = [accept('ab'), accept('cd')];
      await turns();
      await over((things) => dispatcher.putBack(things, lost));
      assert.equal(first.state, 'LOST');
      await become(true);
      await over((things) => dispatcher.putBack(things));
      assert.equal(second.state, 'GONE');
    });

    test('what comes back of an org that is well waits', async () => {
      const answer = accept('a');
      await turns();
      await over((things) => dispatcher.putBack(things));
      assert.deepEqual([answer.state, sent], ['waits', ['a', 'a']]);
    });
  });
});

describe('closing', () => {
  test('lets requests finish, fails what was not begun, and takes nothing more', async () => {
    start({ maxRequests: 1 });
    const [first, second] = [accept('ab'), accept('c')];
    await turns();
    const closing = dispatcher.close(1_000);
    await turns();
    assert.equal(dispatcher.closing, true);
    assert.deepEqual([second.state, second.error?.retryable, first.state], ['NODE_CLOSED', true, 'waits']);
    await over();
    assert.deepEqual(await closing, []);
    assert.equal(first.state, 'done');
    const late = accept('e');
    await turns();
    assert.deepEqual([late.state, sent], ['NODE_CLOSED', ['ab']]);
  });

  test('does not wait longer than it may, and tells what is still under way', async () => {
    accept('a');
    await turns();
    const closing = dispatcher.close(1_000);
    await pass(999);
    let ended = false;
    void closing.then(() => (ended = true));
    await turns();
    assert.equal(ended, false);
    await pass(1);
    assert.deepEqual(await closing, requests);
    assert.equal(requests.length, 1);
  });

  test('what comes back then fails, and is to be delivered again', async () => {
    const answer = accept('a');
    await turns();
    const closing = dispatcher.close(1_000);
    await over((things) => dispatcher.retryLater(things));
    await closing;
    assert.deepEqual([answer.state, waiting], ['NODE_CLOSED', []]);
  });

  test('nothing happens afterwards: no listener, no timer, no turn is left', async () => {
    accept('a');
    await turns();
    await over((things) => dispatcher.retryLater(things));
    accept('b');
    await dispatcher.close(1_000);
    const before = changes;
    await become(true);
    await become(false);
    dispatcher.wake();
    await pass(1_000);
    assert.deepEqual([listeners.size, sent, changes], [0, ['a'], before]);
  });
});
