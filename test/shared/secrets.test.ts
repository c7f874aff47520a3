import { test } from 'node:test';
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { FlowError } from '../../nodes/shared/errors';
import { Secrets } from '../../nodes/shared/secrets';

test('a secret is struck wherever it stands, as it is and as encoders write it', () => {
  const secret = 'p@ss wörd&"<+/>';
  const secrets = new Secrets(secret);
  const forms = [
    secret,
    encodeURIComponent(secret),
    encodeURIComponent(secret).replace(/%../g, (hex) => hex.toLowerCase()),
    new URLSearchParams({ p: secret }).toString().slice(2),
    JSON.stringify(secret),
    Buffer.from(secret).toString('base64'),
    Buffer.from(secret).toString('base64url'),
    'p@ss wörd&amp;&quot;&lt;+/&gt;',
  ];
  for (const form of forms) assert.match(secrets.strike(`x${form}y`), /^x"?\*\*\*=*"?y$/, form);
  assert.equal(secrets.strike('nothing of it'), 'nothing of it');
});

test('of a key with several lines each line is struck, with line breaks of any kind', () => {
  const key = `-----BEGIN PRIVATE KEY-----\n${'A'.repeat(64)}\n${'B'.repeat(64)}\n-----END PRIVATE KEY-----\n`;
  const secrets = new Secrets(key);
  for (const echoed of [
    key,
    key.replaceAll('\n', ' '),
    key.replaceAll('\n', '\\n'),
    key.replaceAll('\n', '\r\n'),
  ])
    assert.doesNotMatch(secrets.strike(`key=${echoed}`), /A{20}|B{20}/);
});

test('a short secret is struck where it is a value, and shreds no words', () => {
  const secrets = new Secrets('no', 'a.b');
  const words = 'There is no answer: nothing to note, and not now. axb';
  assert.equal(secrets.strike(words), words);
  for (const [echoed, left] of [
    ['password=no&user=me', 'password=***&user=me'],
    ['{"password":"no"}', '{"password":"***"}'],
    ['nats://me:no@host', 'nats://me:***@host'],
    ["pass: 'a.b'", "pass: '***'"],
    ['token=a.b', 'token=***'],
  ] as const)
    assert.equal(secrets.strike(echoed), left);
});

test('what is no secret strikes nothing', () => {
  for (const nothing of [new Secrets(), new Secrets('', ' ', undefined, null, 7)])
    assert.equal(nothing.strike(' as it was 7 undefined null'), ' as it was 7 undefined null');
});

test('one that contains another is struck whole', () => {
  assert.equal(new Secrets('secret', 'secret-token').strike('[secret-token]'), '[***]');
});

test('an error loses it in message, stack, details, causes and fields of its own, and stays what it is', () => {
  const secrets = new Secrets('hunter22');
  const cause = Object.assign(new Error('cause hunter22'), { body: { list: ['hunter22', { hunter22: 1 }] } });
  const error = new FlowError<string>('X', 'said hunter22', false, {
    cause,
    details: { rows: ['hunter22'], n: 1n },
  });
  const struck: unknown = secrets.inError(error);
  assert.equal(struck, error);
  assert.deepEqual([error.message, error.code, error.retryable], ['said ***', 'X', false]);
  assert.deepEqual(error.details, { rows: ['***'], n: 1n });
  assert.doesNotMatch(error.stack ?? '', /hunter22/);
  assert.deepEqual([cause.message, cause.body], ['cause ***', { list: ['***', { '***': 1 }] }]);
  assert.equal(secrets.inError('hunter22'), '***');
  assert.equal(secrets.inError(undefined), undefined);
});

test('errors in circles and values of any kind are no trouble', () => {
  const secrets = new Secrets('hunter22');
  const error: Error = new Error('hunter22');
  error.cause = error;
  assert.equal(secrets.inError(error).message, '***');
  const circle: Record<string, unknown> = { a: 'hunter22' };
  circle.self = circle;
  circle.again = circle;
  assert.deepEqual(secrets.inValue(circle), { a: '***', self: '***', again: '***' });
  const thrower = {
    a: 'hunter22',
    get b() {
      throw new Error('hunter22');
    },
  };
  assert.equal(secrets.inValue(thrower), '***');
  let deep: unknown = 'hunter22';
  for (let n = 0; n < 100_000; n++) deep = [deep, deep];
  assert.doesNotMatch(secrets.strike(String(secrets.inValue({ deep }) !== undefined)), /hunter22/);
  const kept = [new Map([['k', 'v']]), Buffer.from('x'), new Date(0), null, 1, { a: [1, 'b'] }];
  for (const value of kept)
    assert.equal(secrets.inValue(value), value, 'the same where nothing is to be struck');
});

test('tokens that change for ever are forgotten, those that are added again are not', () => {
  const secrets = new Secrets('configured-secret');
  for (let n = 0; n < 500; n++) secrets.add('configured-secret', `session-token-${n}!`);
  const text = secrets.strike('configured-secret session-token-499! session-token-0!');
  assert.equal(text, '*** *** session-token-0!');
});

test('whatever the secret, and whatever stands around it: it is gone', () => {
  fc.assert(
    fc.property(fc.string({ minLength: 6 }), fc.string(), fc.string(), (secret, before, after) => {
      fc.pre(secret.trim().length >= 6 && !'***'.includes(secret));
      const struck = new Secrets(secret).strike(`${before}${secret}${after}`);
      assert.ok(!struck.includes(secret) || '***'.includes(secret) || /\*/.test(secret));
    }),
  );
});
