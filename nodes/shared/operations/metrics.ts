import type { DeadLetterState, States } from './states';

type Labels = Record<string, string>;
type Sample = [labels: Labels, value: number | null | undefined];

interface Metric {
  name: string;
  type: 'gauge' | 'counter';
  help: string;
  samples: (states: States) => Sample[];
}

const gauge = (name: string, help: string, samples: Metric['samples']): Metric => ({
  ...{ name, type: 'gauge', help, samples },
});
const counter = (name: string, help: string, samples: Metric['samples']): Metric => ({
  ...{ name, type: 'counter', help, samples },
});

type Of<K extends keyof States> = States[K][number];

const servers = (value: (state: Of<'servers'>) => Sample[1]) => (states: States) =>
  states.servers.map((state): Sample => [{ node: state.id, name: state.name }, value(state)]);
const durableLabels = ({ id, name, stream, durable }: Of<'durables'>): Labels => ({
  ...{ node: id, name, stream, durable },
});
const durables = (value: (state: Of<'durables'>) => Sample[1]) => (states: States) =>
  states.durables.map((state): Sample => [durableLabels(state), value(state)]);
const topicLabels = ({ id, name, topic }: Of<'topics'>): Labels => ({ node: id, name, topic });
const topics = (value: (state: Of<'topics'>) => Sample[1]) => (states: States) =>
  states.topics.map((state): Sample => [topicLabels(state), value(state)]);
const writers = (value: (state: Of<'writers'>) => Sample[1]) => (states: States) =>
  states.writers.map((state): Sample => [{ node: state.id, name: state.name }, value(state)]);
const orgs = (value: (state: Of<'orgs'>) => Sample[1]) => (states: States) =>
  states.orgs.map((state): Sample => [{ node: state.id, name: state.name }, value(state)]);
type CollectionOf = Of<'syncs'>['collections'][number];
const collections = (value: (state: CollectionOf) => Sample[1]) => (states: States) =>
  states.syncs.flatMap(({ id, name, collections: all }) =>
    all.map((one): Sample => [{ node: id, name, sync: one.syncId, collection: one.collection }, value(one)]),
  );
const letters = (value: (state: DeadLetterState) => Sample[1]) => (states: States) =>
  [
    ...states.durables.map((one) => [durableLabels(one), one.deadLetter] as const),
    ...states.topics.map((one) => [topicLabels(one), one.deadLetter] as const),
  ].flatMap(([labels, letter]): Sample[] =>
    letter ? [[{ ...labels, subject: letter.subject }, value(letter)]] : [],
  );
const seconds = (ms: number | null | undefined): number | null => (ms == null ? null : ms / 1_000);
const age = (since: number | null | undefined): number =>
  since == null ? 0 : Math.max(0, (Date.now() - since) / 1_000);

/** https://prometheus.io/docs/practices/naming */
const METRICS: Metric[] = [
  gauge(
    'jetforce_server_connected',
    'Whether the node is connected to NATS.',
    servers(({ phase }) => Number(phase === 'connected')),
  ),
  gauge(
    'jetforce_server_round_trip_seconds',
    'Round trip to the NATS server.',
    servers(({ roundTrip }) => seconds(roundTrip)),
  ),
  gauge(
    'jetforce_durable_pending_messages',
    'Messages that the durable has not delivered yet.',
    durables(({ pending }) => pending),
  ),
  gauge(
    'jetforce_durable_in_flight_messages',
    'Messages delivered and not acknowledged, over all who share the durable.',
    durables(({ inFlight }) => inFlight),
  ),
  gauge(
    'jetforce_durable_redelivered_messages',
    'Messages in flight that were delivered before.',
    durables(({ redelivered }) => redelivered),
  ),
  gauge(
    'jetforce_durable_in_flow_messages',
    'Messages in the flow of this Node-RED.',
    durables(({ inFlow }) => inFlow),
  ),
  gauge(
    'jetforce_durable_waiting_for_retry_messages',
    'Messages sent back by this Node-RED that come again later.',
    durables(({ waitingForRetry }) => waitingForRetry),
  ),
  gauge(
    'jetforce_durable_given_up_messages',
    'Messages given up since somebody has last looked.',
    durables(({ givenUp }) => givenUp),
  ),
  counter(
    'jetforce_durable_acknowledged_messages_total',
    'Messages acknowledged by this Node-RED since the deploy.',
    durables(({ acknowledged }) => acknowledged),
  ),
  gauge(
    'jetforce_durable_failing',
    'Whether the durable can not be read.',
    durables(({ phase }) => Number(phase === 'failing')),
  ),
  gauge(
    'jetforce_durable_held_seconds',
    'For how long the durable has been held; 0 where it is not.',
    durables(({ held }) => age(held?.since)),
  ),
  gauge(
    'jetforce_dead_letters',
    'Messages under the dead letter subject.',
    letters(({ stored }) => stored),
  ),
  gauge(
    'jetforce_topic_in_flow_events',
    'Events in the flow.',
    topics(({ inFlow }) => inFlow),
  ),
  gauge(
    'jetforce_topic_given_up_events',
    'Events given up since somebody has last looked.',
    topics(({ givenUp }) => givenUp),
  ),
  gauge(
    'jetforce_topic_held_seconds',
    'For how long the topic has been held; 0 where it is not.',
    topics(({ held }) => age(held?.since)),
  ),
  gauge(
    'jetforce_writer_messages',
    'Messages handed to the node and not confirmed yet.',
    writers(({ messages }) => messages),
  ),
  gauge(
    'jetforce_writer_held_seconds',
    'For how long the node can not write; 0 where it can.',
    writers(({ held }) => age(held?.since)),
  ),
  gauge(
    'jetforce_org_session_open',
    'Whether there is a session with the org.',
    orgs(({ session }) => Number(session === 'open')),
  ),
  gauge(
    'jetforce_org_api_calls_used',
    'Daily API calls of the org that are used, by all its clients.',
    orgs(({ usage }) => usage?.used),
  ),
  gauge(
    'jetforce_org_api_calls_max',
    'Daily API calls of the org.',
    orgs(({ usage }) => usage?.max),
  ),
  gauge(
    'jetforce_org_api_calls_budget',
    'Daily API calls that this pack may bring the org to.',
    orgs(({ usage }) => usage?.budget),
  ),
  gauge(
    'jetforce_org_requests_under_way',
    'Requests to the org without an answer yet.',
    orgs(({ underWay }) => underWay),
  ),
  gauge(
    'jetforce_org_held_seconds',
    'For how long the org can not be used; 0 where it can.',
    orgs(({ held }) => age(held?.since)),
  ),
  gauge(
    'jetforce_org_pubsub_held_seconds',
    'For how long the Pub/Sub API of the org can not be used; 0 where it can.',
    orgs(({ pubsubHeld }) => age(pubsubHeld?.since)),
  ),
  gauge('jetforce_sync_phase', 'The phase of the collection: the sample with value 1.', (states) =>
    collections(() => 1)(states).map(([labels], at) => [{ ...labels, phase: phases(states)[at] ?? '' }, 1]),
  ),
  gauge(
    'jetforce_sync_records_done',
    'Records read of the backfill, then of the changes since.',
    collections(({ done }) => done),
  ),
  gauge(
    'jetforce_sync_records_total',
    'Records that the backfill has to read.',
    collections(({ total }) => total),
  ),
  gauge(
    'jetforce_sync_records_per_second',
    'Records read a second.',
    collections(({ rate }) => rate),
  ),
  gauge(
    'jetforce_sync_lag_seconds',
    'By how much the stream is behind the API.',
    collections(({ lag }) => seconds(lag)),
  ),
  counter(
    'jetforce_sync_published_messages_total',
    'Messages published since this instance took the collection over.',
    collections(({ published }) => published),
  ),
  counter(
    'jetforce_sync_refused_records_total',
    'Records that no stream would take.',
    collections(({ refused }) => refused),
  ),
  counter(
    'jetforce_sync_api_calls_total',
    'API calls since this instance took the collection over.',
    collections(({ calls }) => calls),
  ),
];

function phases({ syncs }: States): string[] {
  return syncs.flatMap(({ collections: all }) => all.map(({ phase }) => phase));
}

/** https://prometheus.io/docs/instrumenting/exposition_formats, version 0.0.4; what is not known is left out. */
export function metricsText(states: States): string {
  return METRICS.flatMap(({ name, type, help, samples }) => {
    const lines = samples(states).flatMap(([labels, value]) =>
      value == null || !Number.isFinite(value) ? [] : [`${name}${labelText(labels)} ${value}`],
    );
    return lines.length === 0 ? [] : [`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`, ...lines];
  })
    .map((line) => `${line}\n`)
    .join('');
}

function labelText(labels: Labels): string {
  const parts = Object.entries(labels).map(([name, value]) => `${name}="${escaped(value)}"`);
  return `{${parts.join(',')}}`;
}

function escaped(value: string): string {
  return value.replace(/\\/g, '\\\\').replace(/"/g, '\\"').replace(/\n/g, '\\n');
}
