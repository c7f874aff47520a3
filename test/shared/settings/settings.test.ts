import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { holds } from '../../../nodes/shared/settings/conditions';
import { FlowError } from '../../../nodes/shared/errors';
import * as formats from '../../../nodes/shared/settings/formats';
import {
  choice,
  credential,
  duration,
  durations,
  fieldMap,
  flag,
  group,
  json,
  list,
  node,
  onlyWhen,
  open,
  template,
  text,
  textAs,
  whole,
} from '../../../nodes/shared/settings/kinds';
import {
  credentialsOf,
  declare,
  faultOf,
  parseDeployed,
  parseFields,
  parseSetting,
  parseSettings,
  settingsFor,
  type Declared,
  type Setting,
} from '../../../nodes/shared/settings/settings';

const parse = (setting: Setting, stored: unknown): unknown => parseSetting(setting, stored, 'Limit');
const refusal = (setting: Setting, stored: unknown): FlowError => {
  try {
    parse(setting, stored);
  } catch (error) {
    assert.ok(error instanceof FlowError, String(error));
    assert.equal(error.retryable, false);
    return error;
  }
  return assert.fail(`${JSON.stringify(stored)} was taken`);
};
const fault = (setting: Setting, stored: unknown, valueOf = (_: string): unknown => undefined) =>
  faultOf(setting, stored, valueOf)?.text;

describe('a whole number', () => {
  test('is taken as a number or as a text, within its limits alone', () => {
    const limits = fc.tuple(fc.integer({ min: -1, max: 50 }), fc.integer({ min: 0, max: 50 }), fc.integer());
    fc.assert(
      fc.property(limits, ([min, more, number]) => {
        const setting = whole(min, { min, max: min + more });
        const inside = number >= min && number <= min + more;
        for (const stored of [number, ` ${number} `]) {
          assert.equal(fault(setting, stored) === undefined, inside);
          if (inside) assert.equal(parse(setting, stored), number);
          else assert.match(refusal(setting, stored).message, /^Limit: .* is not a whole number between/);
        }
      }),
    );
  });

  test('the error says what is allowed', () => {
    assert.equal(
      refusal(whole(4, { min: 1, max: 25 }), 0).message,
      'Limit: 0 is not a whole number between 1 and 25',
    );
    assert.equal(
      refusal(whole(5, { min: -1 }), 'often').message,
      'Limit: "often" is not a whole number; use -1 for no limit',
    );
    assert.equal(refusal(whole(1, { min: 1 }), 1.5).message, 'Limit: 1.5 is not a whole number, 1 or more');
    for (const stored of [[5], true, {}, '5 or so'])
      assert.equal(refusal(whole(1, { min: 1 }), stored).code, 'INVALID_NUMBER');
  });
});

describe('a duration', () => {
  test('is milliseconds, within its limits alone', () => {
    const setting = duration('15s', { min: '2s', max: '1d' });
    assert.equal(parse(setting, '2s'), 2_000);
    assert.equal(parse(setting, '1d'), 86_400_000);
    assert.equal(parse(setting, 3), 3_000);
    assert.match(refusal(setting, '1999ms').message, /^Limit: at least 2s, and not "1999ms"$/);
    assert.match(refusal(setting, '1d1ms').message, /^Limit: at most 1d, and not "1d1ms"$/);
    assert.match(refusal(setting, 'soon').message, /^Limit: "soon" is not a duration/);
    assert.deepEqual(
      ['2s', '1d', '1999ms', '1d1ms', 'soon'].map((stored) => fault(setting, stored)),
      [undefined, undefined, 'atLeast', 'atMost', 'duration'],
    );
  });

  test('a list of them may be empty on purpose', () => {
    const setting = durations('10s, 30s', { empty: [] });
    assert.deepEqual(parse(setting, undefined), [10_000, 30_000]);
    assert.deepEqual(parse(setting, ''), []);
    assert.deepEqual(parse(setting, ['1s', '2m']), [1_000, 120_000]);
    assert.equal(fault(setting, '10s; 30s'), 'durations');
    assert.equal(fault(setting, '10s, 30s'), undefined);
  });
});

test('a choice is one of its words, and the error lists them', () => {
  const setting = choice(['hold', 'fail'], 'hold', { code: 'INVALID_ACTION' });
  assert.equal(parse(setting, ' fail '), 'fail');
  assert.equal(parse(setting, ''), 'hold');
  const { code, message } = refusal(setting, 'stop');
  assert.deepEqual([code, message], ['INVALID_ACTION', 'Limit: "stop" is none of hold, fail']);
  assert.equal(refusal(choice(['a'], 'a'), 1).code, 'INVALID_SETTING');
});

test('a box is true or false, also as an environment variable says it, and nothing else', () => {
  for (const [stored, expected] of [
    [true, true],
    ['true', true],
    [false, false],
    [' false ', false],
    [undefined, true],
    ['', true],
  ] as const)
    assert.equal(parse(flag(true), stored), expected);
  for (const stored of ['yes', 1, {}])
    assert.match(refusal(flag(true), stored).message, /neither true nor false/);
});

test('a list is taken as an array or as one text', () => {
  const setting = list('', { format: formats.apiNames });
  for (const stored of ['Id, Name', 'Id Name', [' Id', 'Name'], ['Id,Name']])
    assert.deepEqual(parse(setting, stored), ['Id', 'Name']);
  assert.deepEqual(parse(setting, undefined), []);
  assert.equal(refusal(setting, [{}]).code, 'INVALID_SETTING');
  assert.equal(fault(setting, ['Id', 'a;b']), 'apiName');
});

test('a text has no blanks around it, a template keeps them', () => {
  assert.equal(parse(text(''), ' a b '), 'a b');
  assert.equal(parse(template(''), ' {{a}} '), ' {{a}} ');
  assert.equal(parse(text(''), 5), '5');
  assert.equal(
    parse(
      textAs('', (typed) => typed.length),
      ' abc ',
    ),
    3,
  );
  assert.match(refusal(text(''), { a: 1 }).message, /^Limit: an object is not a text$/);
  assert.ok(refusal(choice(['a'], 'a'), 'x'.repeat(10_000)).message.length < 200);
});

test('a JSON object is a text that a form checks', () => {
  assert.deepEqual(
    [fault(json(''), '{"a":1}'), fault(json(''), '[1]'), fault(json(''), '{')],
    [undefined, 'jsonObject', 'jsonObject'],
  );
});

test('a field map needs fields, each complete', () => {
  const field = { name: 'A', type: 'str', value: '' };
  const map = (...fields: unknown[]) => ({ mode: 'map', fields });
  assert.deepEqual(parse(fieldMap(), undefined), { mode: 'event' });
  assert.deepEqual(parse(fieldMap(), map(field)), map(field));
  for (const stored of [{ mode: 'map' }, map(null), map({ name: 'A' })])
    assert.equal(refusal(fieldMap(), stored).code, 'INVALID_SETTING');
  const faults: [unknown, string | undefined][] = [
    [map(field), undefined],
    [map(), 'fieldNone'],
    [map({ ...field, name: ' ' }), 'fieldName'],
    [map(field, field), 'fieldTwice'],
    [map({ ...field, type: 'num', value: 'x' }), 'fieldValue'],
    [map({ ...field, type: 'num', value: '1.5' }), undefined],
    [map({ ...field, type: 'json', value: '{' }), 'fieldValue'],
    [map({ ...field, type: 'json', value: '{}' }), undefined],
    [map({ ...field, type: 'template', value: '{{a' }), 'fieldValue'],
    [map({ ...field, type: 'msg', value: 'payload.' }), 'fieldValue'],
    [map({ ...field, type: 'msg', value: 'payload.a' }), undefined],
  ];
  for (const [stored, expected] of faults) assert.equal(fault(fieldMap(), stored), expected);
});

describe('settings of a node', () => {
  const declared = declare('a-node', 1, {
    server: node('jetstream-server', { required: true }),
    mode: choice(['poll', 'cdc'], 'cdc'),
    every: onlyWhen('mode=poll', duration('1m')),
    note: open(text('as new nodes have it')),
    batch: group({ records: whole(200, { min: 1 }), linger: duration('0ms') }),
    operation: choice(['create', 'get'], 'create', { msg: 'operation' }),
    field: open(text('', { msg: 'field' })),
    size: whole(10, { min: 1, msg: 'size' }),
    secret: credential(),
  });

  test('what a flow leaves out or empty has the default; what is open stays open', () => {
    const expected = {
      server: '',
      mode: 'cdc',
      every: undefined,
      note: undefined,
      batch: { records: 200, linger: 0 },
      operation: 'create',
      field: undefined,
      size: 10,
      secret: undefined,
    };
    assert.deepEqual(parseSettings(declared, {}), expected);
    const empty = { server: '', mode: '', every: '', note: ' ', operation: '', size: '', secret: null };
    assert.deepEqual(parseSettings(declared, empty), expected);
    assert.deepEqual(parseSettings(declared, { secret: ' s ' }).secret, ' s ');
  });

  test('a setting that does not count is not read', () => {
    assert.equal(parseSettings(declared, { every: 'never' }).every, undefined);
    assert.throws(
      () => parseSettings(declared, { mode: 'poll', every: 'never' }),
      /^FlowError: every: "never"/,
    );
    assert.equal(parseSettings(declared, { mode: 'poll' }).every, 60_000);
  });

  test('an error names a part of a group', () => {
    assert.throws(() => parseSettings(declared, { batch: { records: 0 } }), /^FlowError: records: 0 is not/);
    assert.throws(() => parseSettings(declared, { batch: 'x' }), /batch: "x" is not an object/);
    assert.deepEqual(parseSettings(declared, { batch: { records: 5 } }).batch, { records: 5, linger: 0 });
    const found = faultOf(declared.settings.batch, { records: 'x' }, () => undefined);
    assert.deepEqual([found?.part, found?.text], ['records', 'whole']);
  });

  test('properties of a message stand in for those that say so, and an empty one is not the default', () => {
    const settings = parseSettings(declared, { operation: 'get', field: 'Key__c' });
    assert.equal(settingsFor(declared, settings, { mode: 'poll', payload: 1, operation: null }), settings);
    const own = settingsFor(declared, settings, { operation: 'create', field: '', size: '3' });
    assert.deepEqual(own, { ...settings, operation: 'create', field: undefined, size: 3 });
    assert.equal(settings.operation, 'get');
    assert.throws(() => settingsFor(declared, settings, { operation: '' }), /msg\.operation: "" is none of/);
    assert.throws(() => settingsFor(declared, settings, { size: 0 }), /msg\.size: 0 is not a whole number/);
  });

  test('secrets are told to Node-RED, and nothing else is', () => {
    assert.deepEqual(credentialsOf(declared), { secret: { type: 'password' } });
  });

  test('whatever a flow says is read, or refused in a sentence: it never breaks the parser', () => {
    const config = fc.record(
      Object.fromEntries(Object.keys(declared.settings).map((name) => [name, fc.jsonValue()])),
      { requiredKeys: [] },
    );
    fc.assert(
      fc.property(config, (stored) => {
        try {
          parseSettings(declared, stored);
        } catch (error) {
          assert.ok(error instanceof FlowError, String(error));
        }
      }),
    );
  });
});

describe('a form', () => {
  test('asks for what is required, while it is', () => {
    const when = text('', { required: 'auth=file|jwt' });
    assert.equal(
      fault(when, '', () => 'jwt'),
      'required',
    );
    assert.equal(
      fault(when, ' ', () => 'none'),
      undefined,
    );
    assert.equal(fault(text('', { required: true }), undefined), 'required');
    assert.equal(fault(text('there', { required: true }), undefined), undefined);
    assert.equal(fault(list([], { required: true }), []), 'required');
    assert.equal(
      fault(onlyWhen('auth=file', text('', { required: true })), '', () => 'none'),
      undefined,
    );
  });

  test('takes an environment variable for any value', () => {
    const settings: Setting[] = [whole(1, { min: 1 }), duration('1s'), text('', { format: formats.url })];
    for (const setting of settings) {
      assert.equal(fault(setting, '${ANY}'), undefined);
      assert.notEqual(fault(setting, 'x ${ANY}'), undefined);
    }
  });
});

test('conditions are about the values beside: all of them, one of several, or not', () => {
  const values: Record<string, unknown> = { auth: 'jwt', provision: true, env: 'true', off: false };
  const valueOf = (name: string) => values[name];
  const truths = [
    'auth=jwt',
    'auth=file|jwt',
    'provision',
    'env',
    '!auth=file',
    '!off',
    'auth=jwt provision !off',
  ];
  for (const condition of truths) assert.ok(holds(condition, valueOf), condition);
  for (const condition of ['auth=file', 'off', '!provision', 'missing', 'auth=jwt off', 'auth'])
    assert.ok(!holds(condition, valueOf), condition);
});

test('fields are read alone, too', () => {
  const fields: Declared = { a: whole(1, { min: 1 }) };
  assert.throws(() => parseFields(fields, { a: 0 }, (name) => `Field ${name}`), /^FlowError: Field a: 0/);
  assert.throws(() => parseFields(fields, { a: 0 }), /^FlowError: a: 0/);
});

test('"${NAME:-value}" is the variable, or the value where that is not set or empty', (t) => {
  const declared = declare('x', 1, { file: text('', { required: true }), wait: duration('1s') });
  const read = () => parseSettings(declared, { file: '${SOME_FILE:-/etc/x.json}', wait: '${SOME_WAIT:-2s}' });
  t.after(() => delete process.env['SOME_FILE']);
  assert.deepEqual(read(), { file: '/etc/x.json', wait: 2_000 });
  process.env['SOME_FILE'] = '';
  assert.equal(read().file, '/etc/x.json');
  process.env['SOME_FILE'] = '/run/secrets/x';
  assert.equal(read().file, '/run/secrets/x');
});

test('a variable that is not set is no value: it is named, wherever it stands', (t) => {
  const fields = {
    subject: template('a.b'),
    tries: whole(5, { min: -1 }),
    stream: group({ subjects: list('', {}), maxAge: duration('1h') }),
    file: onlyWhen('auth=file', text('')),
    auth: choice(['none', 'file'], 'none'),
    payload: fieldMap(),
    password: credential(),
  };
  const read = (config: object) => parseDeployed(declare('x', 1, fields), config);
  const mapped = (type: string, value: string) => ({
    payload: { mode: 'map', fields: [{ name: 'A', type, value }] },
  });
  for (const config of [
    { subject: '${NOT_SET}' },
    { tries: ' ${NOT_SET} ' },
    { stream: { subjects: ['a.>', '${NOT_SET}'] } },
    { stream: { maxAge: '${NOT_SET}' } },
    mapped('str', '${NOT_SET}'),
  ])
    assert.throws(() => read(config), { code: 'NO_ENVIRONMENT', message: /environment variable NOT_SET/ });
  // What doesn't count, part of a longer text, and what is looked up for each message.
  for (const config of [{ file: '${NOT_SET}' }, { subject: 'a.${NOT_SET}' }, mapped('env', '${NOT_SET}')])
    read(config);
  assert.throws(
    () => read({ password: '${pa55word}' }),
    (error: Error) => !error.message.includes('pa55word'),
  );

  t.after(() => delete process.env['SOME_SUBJECT']);
  process.env['SOME_SUBJECT'] = 'b.>';
  const { stream } = read({ stream: { subjects: ['${SOME_SUBJECT:-c.>}'], maxAge: '${SOME_AGE:-2s}' } });
  assert.deepEqual([stream.subjects, stream.maxAge], [['b.>'], 2_000]);
});

test('in a form the value behind ":-" is checked like any', () => {
  const wait = duration('1s');
  assert.equal(
    faultOf(wait, '${WAIT:-2s}', () => undefined),
    undefined,
  );
  assert.ok(faultOf(wait, '${WAIT:-soon}', () => undefined));
  assert.deepEqual(
    faultOf(text('', { required: true }), '${FILE:-}', () => undefined),
    { text: 'required' },
  );
});
