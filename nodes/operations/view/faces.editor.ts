import type {
  CollectionState,
  DurableState,
  Held,
  OrgState,
  ServerState,
  TopicState,
  WriterState,
} from '../../shared/operations/states';
import { errorText } from '../../shared/editor/error-text';
import type { Face, Fact, Light } from './card.editor';
import { capital, clock, number, say, since, span, word } from './text.editor';

/** What there is to say of each kind. */

export function serverFace(state: ServerState): Face {
  const { name, phase, connectedTo, version, roundTrip, downSince, problem } = state;
  const light: Light = phase === 'connected' ? 'green' : phase === 'disconnected' ? 'red' : 'grey';
  const facts: Fact[] = connectedTo
    ? [
        [say('connectedTo'), connectedTo],
        [say('version'), version ?? '–'],
        [say('roundTrip'), roundTrip === null ? '–' : say('ms', { count: roundTrip })],
      ]
    : [];
  const notes = problem ? [since(capital(word(phase)), downSince), errorText(problem)] : [];
  return { title: name, light, state: word(phase), facts, notes };
}

export function durableFace(state: DurableState): Face {
  const { name, phase, held, givenUp, stream, durable, waitingForRetry, nextRetry } = state;
  const retry =
    nextRetry === null
      ? number(waitingForRetry)
      : say('retryAt', { count: waitingForRetry, time: clock(nextRetry) });
  return {
    ...{
      title: name,
      light: lightOf(phase, held, givenUp),
      state: stateOf(phase, held),
      notes: notesOf(held),
    },
    facts: [
      [say('stream'), stream],
      [say('durable'), durable],
      [say('pending'), number(state.pending)],
      [say('inFlight'), number(state.inFlight)],
      [say('inFlow'), number(state.inFlow)],
      [say('redelivered'), number(state.redelivered)],
      [say('waitingForRetry'), retry],
      [say('givenUp'), number(givenUp)],
      [say('rate'), say('perSecond', { count: number(state.perSecond) })],
    ],
  };
}

export function topicFace({ name, phase, held, givenUp, topic, inFlow }: TopicState): Face {
  return {
    ...{
      title: name,
      light: lightOf(phase, held, givenUp),
      state: stateOf(phase, held),
      notes: notesOf(held),
    },
    facts: [
      [say('topic'), topic],
      [say('inFlow'), number(inFlow)],
      [say('givenUp'), number(givenUp)],
    ],
  };
}

export function writerFace({ name, held, messages }: WriterState): Face {
  return {
    ...{ title: name, light: lightOf('ready', held, 0), state: stateOf('ready', held), notes: notesOf(held) },
    facts: [[say('messages'), number(messages)]],
  };
}

export function orgFace(state: OrgState): Face {
  const { name, session, usage, held, pubsubHeld, underWay } = state;
  const facts: Fact[] = [[say('session'), state.instanceUrl ?? word(session)]];
  if (usage) {
    const { used, max, budget } = usage;
    facts.push([
      say('usage'),
      say('usageOf', { used: number(used), max: number(max), budget: number(budget) }),
    ]);
  }
  facts.push([say('underWay'), number(underWay)]);
  const notes: string[] = [];
  for (const [what, one] of [
    ['', held],
    [`${say('pubsub')}: `, pubsubHeld],
  ] as const)
    if (one) {
      notes.push(since(`${what}${word(one.reason)}`, one.since), errorText(one));
      facts.push([`${what}${say('nextProbe')}`, clock(one.nextProbe)]);
    }
  const light: Light = held || pubsubHeld ? 'red' : session === 'open' ? 'green' : 'grey';
  return { title: name, light, state: word(held?.reason ?? session), facts, notes };
}

const LIGHTS: Record<string, Light> = { live: 'green', backfill: 'green', waiting: 'yellow', failed: 'red' };

export function collectionFace(state: CollectionState): Face {
  const { collection, phase, done, total, lag, problem } = state;
  const facts: Fact[] = [
    [
      say('records'),
      total === null ? number(done) : say('doneOf', { done: number(done), total: number(total) }),
    ],
    [say('rate'), say('perSecond', { count: number(state.rate) })],
    [say('asOf'), lag === null ? '–' : say('ago', { span: span(lag) })],
    [say('published'), number(state.published)],
    [say('calls'), number(state.calls)],
  ];
  if (state.refused > 0) facts.push([say('refused'), number(state.refused)]);
  if (problem?.code === 'LEASED')
    return {
      ...{ title: collection, light: 'grey', state: say('standby'), facts: [], notes: [errorText(problem)] },
    };
  const light = problem && phase === 'live' ? 'yellow' : (LIGHTS[phase] ?? 'grey');
  const began = problem?.since === undefined ? [] : [since(capital(word(phase)), problem.since)];
  const notes = problem ? [...began, errorText(problem)] : [];
  return { title: collection, light, state: word(phase), facts, notes };
}

/** What reads, but is held, isn't called ready. */
function stateOf(phase: string, held: Held | null): string {
  if (!held) return word(phase);
  const { by, reason } = held;
  return word(by === 'paused' || by === 'failing' || by === 'disconnected' ? (reason ?? by) : 'waiting');
}

function lightOf(phase: string, held: Held | null, givenUp: number): Light {
  if (phase === 'failing' || held?.by === 'disconnected' || held?.by === 'failing') return 'red';
  if (held || givenUp > 0) return 'yellow';
  return phase === 'connecting' || phase === 'standby' ? 'grey' : 'green';
}

/** A pause that ends in years ends by hand. */
const YEARS = 10 * 365 * 86_400_000;

function notesOf(held: Held | null): string[] {
  if (!held) return [];
  const { by, reason, until, code = '', message } = held;
  const what = word(reason ?? by);
  const ends =
    until !== undefined && until - Date.now() < YEARS ? say('until', { what, time: clock(until) }) : what;
  return [since(ends, held.since), ...(message === undefined ? [] : [errorText({ code, message })])];
}
