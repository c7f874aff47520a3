import type { Random } from './random';

/** Values that nobody would think of, but somebody sends. */

const TEXTS = [
  '',
  ' ',
  '\u0000',
  '\n',
  '\r\nInjected: yes',
  '\u001b[2J\u001b[31m',
  '\ud800',
  '\u202e',
  '{{payload}}',
  '{{',
  '}}',
  '${HOME}',
  '$(NATS)',
  '__proto__',
  'constructor',
  'prototype',
  'toString',
  '$JS.API.STREAM.DELETE.crm',
  '_INBOX.x',
  '$SYS.REQ',
  'crm.>',
  'crm.*',
  'crm..x',
  '.',
  '../../etc/passwd',
  'null',
  'undefined',
  'NaN',
  '1e400',
  '-0',
  '0x10',
  '1d',
  '-1ms',
  '99999999999999999999s',
  '1ms1ms',
  '10 10',
  'http://',
  'nats://:::',
  'nats://[::1',
  'https://a:b@c/d?e#f',
  "' OR Id != '",
  '@{ref.id}',
  '<html><script>',
  '003000000000001AAA',
  '2026-02-30T25:61:61Z',
  '+275760-09-13',
  '[[',
  '{"',
  '"',
  '\\',
  'Contact',
  'ExternalId__c',
  '-----BEGIN PRIVATE KEY-----',
];

export function text(r: Random): string {
  switch (r.below(8)) {
    case 0:
      return Array.from({ length: r.below(30) }, () => String.fromCharCode(r.below(0x1_0000))).join('');
    case 1:
      return r.pick(TEXTS).repeat(1 + r.below(2_000));
    case 2:
      return r.pick(TEXTS) + r.pick(TEXTS) + r.pick(TEXTS);
    case 3:
      return r.chance(0.05)
        ? r.pick(['x', '[', '{"a":', '9', '{{a}}', '.', '"', '\\']).repeat(300_000)
        : 'x'.repeat(r.below(300));
    default:
      return r.pick(TEXTS);
  }
}

const NUMBERS = [0, -0, 1, -1, 0.5, NaN, Infinity, -Infinity, 2 ** 31, 2 ** 53, -(2 ** 53), 1e308, 5e-324];

/** What JSON can say. */
export function json(r: Random, depth = 3): unknown {
  switch (r.below(depth > 0 ? 9 : 5)) {
    case 0:
      return null;
    case 1:
      return r.chance(0.5);
    case 2:
      return r.pick(NUMBERS.filter(Number.isFinite));
    case 3:
    case 4:
      return text(r);
    case 5:
      return nested(r.pick([10, 199, 200, 201, 1_000, 3_000]), r.chance(0.5));
    case 6:
      return Array.from({ length: r.below(5) }, () => json(r, depth - 1));
    default:
      return Object.fromEntries(Array.from({ length: r.below(5) }, () => [name(r), json(r, depth - 1)]));
  }
}

/** Whatever a function node can make. */
export function value(r: Random, depth = 3): unknown {
  switch (r.below(20)) {
    case 0:
      return undefined;
    case 1:
      return BigInt(r.pick([0, 1, 2 ** 40])) ** 3n;
    case 2:
      return Symbol('hostile');
    case 3:
      return () => r.next();
    case 4:
      return new Date(r.pick(NUMBERS));
    case 5:
      return Buffer.from(text(r));
    case 6:
      return r.pick(NUMBERS);
    case 7:
      return thrower();
    case 8:
      return getter(name(r));
    case 9:
      return revoked();
    case 10:
      return circular();
    case 11:
      return Object.assign(Object.create(null) as object, { [name(r)]: depth > 0 ? value(r, depth - 1) : 1 });
    case 12:
      return Object.assign(new Error(text(r)), {
        code: depth > 0 ? value(r, depth - 1) : 1,
        cause: circular(),
      });
    case 13:
      return new Map([[{}, new Set([1])]]);
    case 14:
      return nested(20_000, true);
    case 15:
      return Object.fromEntries(
        Array.from({ length: r.below(4) }, () => [name(r), depth > 0 ? value(r, depth - 1) : 1]),
      );
    case 16:
      return { toJSON: r.pick([fails, () => undefined, () => circular(), () => 1n]) };
    default:
      return json(r, depth);
  }
}

/** What a flow hands to node.error, to done, or throws. */
export function thrown(r: Random): unknown {
  if (r.chance(0.5)) return value(r);
  return {
    message: r.pick([{ toString: 1, valueOf: 1 }, circular(), { n: 1n }, Symbol('m'), revoked(), value(r)]),
    code: value(r, 1),
    retryable: r.pick([false, true, value(r, 1)]),
    outage: value(r, 1),
    details: value(r, 1),
  };
}

/** A message of a flow, with any of the properties that our nodes look at. */
export function message(r: Random): Record<string, unknown> & { _msgid: string } {
  const msg: Record<string, unknown> & { _msgid: string } = { _msgid: `fuzz-${r.next()}`, topic: 'crm.fuzz' };
  const good: Record<string, unknown> = {
    payload: { LastName: 'Fuzz', ExternalId__c: `K${r.below(50)}` },
    topic: r.pick(['crm.fuzz', 'stray.fuzz', 'resync', 'status', 'start']),
    ack: r.pick(['ack', 'nak', 'term', 'progress']),
  };
  for (const property of PROPERTIES) {
    if (r.chance(0.4)) msg[property] = good[property] ?? value(r);
    else if (r.chance(property === 'payload' ? 0.9 : 0.2)) msg[property] = r.chance(0.5) ? value(r) : json(r);
  }
  if (r.chance(0.05)) Object.defineProperty(msg, r.pick(PROPERTIES), { get: fails, enumerable: true });
  return msg;
}

const PROPERTIES = [
  'payload',
  'topic',
  'ack',
  'delay',
  'jetstream',
  'salesforce',
  'headers',
  'parts',
  'error',
  'sync_id',
  'operation',
  'sobject',
  'externalIdField',
  'allOrNone',
  'ids',
  'fields',
  'event',
  'req',
  'res',
  'sfdc',
  'key',
];

const NAMES = [
  'LastName',
  'Id',
  'id',
  'Email',
  'ExternalId__c',
  'attributes',
  'records',
  'Account',
  'collection_id',
  'upstream_id',
  'data',
  'deleted',
  'upstream_updated_at',
  'action',
  'delay',
  'token',
  'sequence',
  'timestamp',
  'stream',
  'subject',
  'deliveries',
  'errors',
  'fields',
  'message',
  'code',
  'statusCode',
  '__proto__',
  'constructor',
  'toString',
  'toJSON',
  'x',
];

export function name(r: Random): string {
  return r.chance(0.85) ? r.pick(NAMES) : text(r);
}

function fails(): never {
  throw new Error('it does not want to be read');
}

function nested(levels: number, list: boolean): unknown {
  let inner: unknown = 1;
  for (let level = 0; level < levels; level++) inner = list ? [inner] : { a: inner };
  return inner;
}

function circular(): object {
  const one: Record<string, unknown> = { list: [] };
  one.self = one;
  (one.list as unknown[]).push(one);
  return one;
}

function getter(property: string): object {
  return Object.defineProperty({}, property, { get: fails, enumerable: true });
}

function thrower(): object {
  return new Proxy({}, { get: fails, has: fails, ownKeys: fails, getPrototypeOf: fails, set: fails });
}

function revoked(): object {
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  return proxy;
}
