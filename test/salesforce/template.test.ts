import { test } from 'node:test';
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { compileTemplate, templateScope } from '../../nodes/shared/template';

const env = (name: string) => ({ REGION: 'eu' })[name];
const render = (text: string, msg: object) => compileTemplate(text)(templateScope(msg, env));
const code = (expected: string) => (error: unknown) => {
  assert.equal((error as { code: string }).code, expected);
  assert.equal((error as { retryable: boolean }).retryable, false);
  return true;
};

const msg = {
  payload: { id: 7, name: 'Ada', none: null, tags: ['a', 'b'], 'first name': 'Ada' },
  topic: 'old.topic',
  jetstream: { subject: 'crm.contacts.7' },
};

test('event.data is the payload, event.subject the subject, env the environment, msg the message', () => {
  assert.equal(render('{{event.data.name}}/{{ payload.name }}', msg), 'Ada/Ada');
  assert.equal(render('{{event.subject}}', msg), 'crm.contacts.7');
  assert.equal(render('{{event.subject}}', { topic: 'only.topic' }), 'only.topic');
  assert.equal(render('{{env.REGION}}-{{msg.topic}}-{{topic}}', msg), 'eu-old.topic-old.topic');
});

test('a lone template keeps the type of its value', () => {
  assert.equal(render(' {{payload.id}} ', msg), 7);
  assert.equal(render('{{payload.none}}', msg), null);
  assert.equal(render('{{payload.tags}}', msg), msg.payload.tags);
  assert.equal(render('{{payload}}', { payload: false }), false);
});

test('in a longer text null is nothing, an object is JSON', () => {
  assert.equal(render('<{{payload.none}}> {{payload.tags}} {{payload.id}}', msg), '<> ["a","b"] 7');
});

test('paths may have indexes and quoted names', () => {
  assert.equal(
    render('{{payload.tags[1]}}{{payload.tags.0}}{{payload["first name"]}}{{payload[\'name\']}}', msg),
    'baAdaAda',
  );
});

test('a missing path is a permanent error that names the path, not an empty string', () => {
  for (const path of [
    'payload.nope',
    'payload.name.first',
    'payload.none.x',
    'env.NOPE',
    'nope',
    'payload.toString',
  ]) {
    assert.throws(
      () => render(`x{{${path}}}`, msg),
      (error: Error) => code('TEMPLATE_MISSING_PATH')(error) && error.message.includes(path),
    );
  }
});

test('what is no path is refused when the template is compiled', () => {
  for (const path of ['', 'a b', 'a..b', 'a[', 'a.b()', '.a', '#if x']) {
    assert.throws(() => compileTemplate(`{{${path}}}`), code('INVALID_TEMPLATE'));
  }
});

test('text without an expression is itself, whatever it holds', () => {
  fc.assert(
    fc.property(fc.string(), (text) => {
      fc.pre(!/\{\{[^{}]*\}\}/.test(text));
      assert.equal(render(text, {}), text);
    }),
  );
});

test('any value comes back unchanged through a lone template, and as its own text within another', () => {
  fc.assert(
    fc.property(fc.jsonValue(), fc.string({ unit: 'grapheme' }), (value, literal) => {
      fc.pre(!/[{}]/.test(literal) && literal.trim() !== '');
      assert.equal(render('{{payload.v}}', { payload: { v: value } }), value);
      const text = render(`${literal}{{payload.v}}${literal}`, { payload: { v: value } });
      const expected =
        value === null ? '' : typeof value === 'object' ? JSON.stringify(value) : String(value);
      assert.equal(text, literal + expected + literal);
    }),
  );
});
