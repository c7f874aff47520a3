import {
  Metadata,
  Server,
  ServerCredentials,
  status,
  type ServerDuplexStream,
  type sendUnaryData,
} from '@grpc/grpc-js';
import { loadSync, type MethodDefinition } from '@grpc/proto-loader';
import { join } from 'node:path';
import { compileCodec } from '../../nodes/salesforce/pubsub/avro';
import { json, text } from './hostile';
import { random, type Random } from './random';

/** A Pub/Sub API that knows one event, and, once it has a seed, answers as nobody should. */
export interface OddPubSub {
  /** For sfdc-org. */
  endpoint: string;
  spoil(seed: string | undefined): void;
  close(): void;
}

export const TOPIC = '/event/Fuzz__e';

const field = (name: string, type: unknown) => ({ name, type, default: null });
const SCHEMA = JSON.stringify({
  type: 'record',
  name: 'Fuzz__e',
  fields: [
    { name: 'CreatedDate', type: 'long' },
    { name: 'CreatedById', type: 'string' },
    field('LastName', ['null', 'string']),
    field('ExternalId__c', ['null', 'string']),
    field('List__c', ['null', { type: 'array', items: ['null', 'string'] }]),
  ],
});
const codec = compileCodec(SCHEMA);

export async function startOddPubSub(): Promise<OddPubSub> {
  let chance: Random | undefined;
  const odd = (probability: number): Random | undefined => (chance?.chance(probability) ? chance : undefined);
  const loaded = loadSync(join(__dirname, '../org/pubsub/pubsub.proto'), {
    keepCase: true,
    defaults: true,
    longs: Number,
  });
  const service = loaded['eventbus.v1.PubSub'] as unknown as Record<string, MethodDefinition<object, object>>;
  const raw = Object.fromEntries(
    Object.entries(service).map(([name, method]) => [
      name,
      {
        ...method,
        responseSerialize: (answer: object) => spoilBytes(odd(0.1), method.responseSerialize(answer)),
      },
    ]),
  );
  const unary =
    (answer: (asked: Record<string, unknown>) => object) =>
    (call: { request: Record<string, unknown> }, callback: sendUnaryData<object>): void => {
      const r = odd(0.2);
      if (r) callback(failure(r));
      else callback(null, answer(call.request));
    };
  type Stream = ServerDuplexStream<Record<string, unknown>, object>;
  const duplex = (answer: (asked: Record<string, unknown>, stream: Stream) => void) => (stream: Stream) => {
    stream.on('error', () => undefined);
    stream.on('end', () => stream.end());
    stream.on('data', (asked: Record<string, unknown>) => {
      const r = odd(0.15);
      if (r) stream.destroy(Object.assign(new Error(text(r)), failure(r)));
      else answer(asked, stream);
    });
  };
  let published = 0;
  const replayId = (r: Random | undefined): Buffer =>
    r ? Buffer.from(text(r).slice(0, 50)) : Buffer.from(String(++published).padStart(8, '0'));
  const server = new Server();
  server.addService(
    raw as never,
    {
      GetTopic: unary(({ topic_name }) => ({
        topic_name,
        can_publish: odd(0.1) === undefined,
        can_subscribe: true,
        schema_id: odd(0.1) ? `odd-${published}` : 'good',
      })),
      GetSchema: unary(({ schema_id }) => ({ schema_id, schema_json: schemaJson(odd(0.3)) })),
      PublishStream: duplex(({ events }, stream) => {
        const results = (events as unknown[]).map(() => resultOf(odd(0.2), replayId(odd(0.1))));
        // None at all would only say that the stream is alive.
        if (odd(0.1) && results.length > 1) results.pop();
        if (odd(0.1)) results.push(...results);
        stream.write({ results, schema_id: 'good' });
      }),
      Subscribe: duplex(({ num_requested }, stream) => {
        const wanted = odd(0.1) ? 3 * Number(num_requested) : Math.min(2, Number(num_requested));
        const events = Array.from({ length: chance ? Math.min(300, wanted) : 0 }, () => ({
          event: odd(0.05)
            ? null
            : {
                id: text(random(`${published}`)).slice(0, 100),
                schema_id: odd(0.2) ? `odd-${published}` : 'good',
                payload: payloadOf(odd(0.5)),
              },
          replay_id: replayId(odd(0.1)),
        }));
        setTimeout(
          () => stream.write({ events, latest_replay_id: replayId(undefined), pending_num_requested: 0 }),
          20,
        );
      }),
    } as never,
  );
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, taken) =>
      error ? reject(error) : resolve(taken),
    ),
  );
  return {
    endpoint: `http://127.0.0.1:${port}`,
    spoil: (seed) => void (chance = seed === undefined ? undefined : random(seed)),
    close: () => server.forceShutdown(),
  };
}

function failure(r: Random) {
  const metadata = new Metadata();
  metadata.set(
    'error-code',
    r
      .pick(['sfdc.platform.eventbus.grpc.service.auth.error', 'x', text(r)])
      .replace(/[^\x20-\x7e]/g, '')
      .slice(0, 200),
  );
  return {
    // Of the 16 that are no success.
    code: 1 + r.below(status.UNAUTHENTICATED),
    details: text(r).slice(0, 2_000),
    metadata,
  };
}

function schemaJson(r: Random | undefined): string {
  if (!r) return SCHEMA;
  const odd = JSON.stringify(json(r)) ?? '';
  return r.pick([
    odd,
    text(r),
    SCHEMA.replace('["null","string"]', odd),
    SCHEMA.replace('Fuzz__e', '__proto__'),
    `${'['.repeat(9_000)}${']'.repeat(9_000)}`,
  ]);
}

function resultOf(r: Random | undefined, replay_id: Buffer): object {
  return r
    ? { replay_id, error: { code: r.below(5), msg: text(r) }, correlation_key: text(r) }
    : { replay_id };
}

function payloadOf(r: Random | undefined): Buffer {
  const values = { CreatedDate: 1, CreatedById: 'x', LastName: 'a', ExternalId__c: 'b', List__c: ['c'] };
  const good = codec.encode(values);
  // The list says that it has 2^31 - 1 items.
  return r?.chance(0.3)
    ? Buffer.concat([good.subarray(0, -6), Buffer.from([0xfe, 0xff, 0xff, 0xff, 0x0f])])
    : spoilBytes(r, good);
}

function spoilBytes(r: Random | undefined, good: Buffer): Buffer {
  if (!r) return good;
  const bytes = Buffer.from(good.subarray(0, r.chance(0.5) ? undefined : 1 + r.below(good.length)));
  for (let left = r.below(5); left > 0 && bytes.length > 0; left--)
    bytes[r.below(bytes.length)] = r.below(256);
  return bytes;
}
