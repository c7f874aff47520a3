import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compileTemplate, compileText, templateScope } from '../../nodes/shared/template';

const env = (name: string): unknown => ({ EMPTY: '', NULL: null, 'A.B': 'dotted', NUMBER: 0 })[name];
const render = (text: string, msg: object = {}) => compileTemplate(text)(templateScope(msg, env));
const permanent =
  (code: string, words = /./) =>
  (error: { code: string; retryable: boolean; message: string }) => {
    assert.deepEqual([error.code, error.retryable], [code, false]);
    assert.match(error.message, words);
    return true;
  };

test('an empty environment variable is a value, an unset one is not', () => {
  assert.equal(render('{{env.EMPTY}}'), '');
  assert.equal(render('<{{env.EMPTY}}>'), '<>');
  assert.equal(render('{{env.NUMBER}}'), 0);
  assert.equal(render('{{env.A.B}}'), 'dotted');
  assert.throws(() => render('{{env.NULL}}'), permanent('TEMPLATE_MISSING_PATH', /env\.NULL/));
  assert.throws(() => render('{{env.NONE}}'), permanent('TEMPLATE_MISSING_PATH', /"\{\{env\.NONE\}\}"/));
});

test('empty texts, zero, false and null of a message are values too', () => {
  const payload = { empty: '', zero: 0, no: false, nothing: null };
  for (const [key, value] of Object.entries(payload))
    assert.equal(render(`{{payload.${key}}}`, { payload }), value);
  assert.equal(
    render('{{payload.empty}}|{{payload.zero}}|{{payload.no}}|{{payload.nothing}}|', { payload }),
    '|0|false||',
  );
});

test('only what a message has itself is found', () => {
  for (const path of [
    'payload.constructor',
    '__proto__',
    'toString',
    'payload.length.x',
    'msg.payload.nope',
    'event.other',
  ])
    assert.throws(() => render(`{{${path}}}`, { payload: 'text' }), permanent('TEMPLATE_MISSING_PATH'), path);
  assert.equal(render('{{msg.env}}', { env: 1 }), 1, 'msg. names any property');
  assert.deepEqual(render('{{event}}', { payload: 1, topic: 't' }), { data: 1, subject: 't' });
  assert.deepEqual(render('{{msg}}', { payload: 1 }), { payload: 1 });
});

test('the subject of an event is that of JetStream, also where it is empty, else the topic', () => {
  assert.equal(render('{{event.subject}}', { topic: 't', jetstream: { subject: '' } }), '');
  assert.equal(render('{{event.subject}}', { topic: 't', jetstream: null }), 't');
  assert.equal(render('{{event.subject}}', { topic: 't', jetstream: {} }), 't');
  assert.throws(() => render('{{event.subject}}', {}), permanent('TEMPLATE_MISSING_PATH'));
});

test('in a longer text a date, a buffer, and a big number are written as people would', () => {
  const payload = { date: new Date(0), buffer: Buffer.from('hé'), big: 12345678901234567890n };
  assert.equal(
    render('{{payload.date}} {{payload.buffer}} {{payload.big}}', { payload }),
    '1970-01-01T00:00:00.000Z hé 12345678901234567890',
  );
  assert.equal(render('{{payload.date}}', { payload }), payload.date);
});

test('what has no text is a permanent failure, not a word in the text', () => {
  const circular: Record<string, unknown> = {};
  circular['self'] = circular;
  for (const value of [circular, () => 1, Symbol('s'), new Date(NaN)])
    assert.throws(
      () => render('a {{payload}}', { payload: value }),
      permanent('TEMPLATE_VALUE', /a \{\{payload\}\}/),
    );
});

test('text around and between expressions stays as it is, blanks included', () => {
  const msg = { payload: 'x', topic: 'y' };
  assert.equal(render(' {{payload}}.{{ topic }} {{payload}} } {', msg), ' x.y x } {');
  assert.equal(render('{{payload}}{{topic}}', msg), 'xy');
  assert.equal(render('  {{payload}}\n', msg), 'x', 'blanks around a lone expression are none');
  assert.equal(render('{{{payload}}}', msg), '{x}');
});

test('paths: indexes, quoted names of any letters, and nothing else', () => {
  const payload = { list: [{ id: 1 }], 'a.b': 2, "it's": 3, 'q"q': 4, '': 5 };
  assert.equal(render('{{payload.list[0].id}}', { payload }), 1);
  assert.equal(render('{{payload["a.b"]}}', { payload }), 2);
  assert.equal(render(`{{payload["it's"]}}`, { payload }), 3);
  assert.equal(render(`{{payload['q"q']}}`, { payload }), 4);
  assert.equal(render('{{payload[""]}}', { payload }), 5);
  for (const path of [
    'a.',
    '.a',
    'a..b',
    'a[b]',
    'a[-1]',
    'a["b]',
    'a[0',
    'a]',
    'a b',
    'a(b)',
    'a#b',
    'a.[0]',
    "a.'b'",
  ])
    assert.throws(
      () => compileTemplate(`x{{${path}}}`),
      permanent('INVALID_TEMPLATE', /is not a path/),
      path,
    );
});

test('a BigInt within an object is written as a number', () => {
  assert.equal(
    render('<{{payload}}>', { payload: { n: 1234567890123456789n } }),
    '<{"n":1234567890123456789}>',
  );
});

test('a template has a limit of expressions', () => {
  assert.equal(render('{{a}}'.repeat(1_000), { a: 1 }), '1'.repeat(1_000));
  for (const compile of [compileTemplate, compileText])
    assert.throws(() => compile('{{a}}'.repeat(300_000)), permanent('INVALID_TEMPLATE', /more than 1000/));
});
