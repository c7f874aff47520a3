import assert from 'node:assert/strict';
import { test } from 'node:test';
import { size } from '../../nodes/shared/size';
import * as formats from '../../nodes/shared/settings/formats';
import { fieldMap } from '../../nodes/shared/settings/kinds';
import english from '../../nodes/shared/editor/texts/en-US.json';

type FormatName = Exclude<keyof typeof formats, 'format' | 'listOf' | 'succeeds'>;

function verdicts(name: FormatName | 'size', right: string[], wrong: string[]): void {
  const format = name === 'size' ? size('') : formats[name];
  const faultOf = (value: string) => format.check(value, () => undefined);
  for (const value of right) assert.equal(faultOf(value), undefined, `${name} ${value}`);
  for (const value of wrong) assert.ok(faultOf(value), `${name} ${value}`);
}

test('subject filters: wildcards are whole tokens, and > only the last', () => {
  verdicts(
    'filters',
    ['a', 'a.b', '*', '>', 'a.*', 'a.>', 'a.*.b', '*.>', 'a, b.> c'],
    ['a.>.b', '>.a', '>.>', 'a..b', '.a', 'a.', 'a*', 'a.b>', 'a.b*.c', 'a, b..c'],
  );
});

test('subjects to publish to: no wildcards, and templates stand for tokens', () => {
  verdicts(
    'subject',
    ['a.b', 'a.{{payload.x}}', '{{payload.x}}.b', 'a{{payload.x}}'],
    ['a.*', 'a.>', 'a..b', 'a b', '', 'a.', 'a.{{payload.x', 'a.{{}}', 'a.}}'],
  );
});

test('names, durations, sizes, times', () => {
  verdicts('natsName', ['crm', 'a-b_c'], ['a.b', 'a b', 'a*', 'a>', 'a/b', 'a\\b']);
  verdicts('bucketName', ['a-b_C9'], ['a.b', 'a b']);
  verdicts('duration', ['10s', '1m30s', '5'], ['soon', '10 s x']);
  verdicts('durations', ['10s, 1m', '10s'], ['10s; 1m']);
  verdicts('size', ['-1', '0', '512KiB', '2 GB', '1.5m', '7b'], ['2 giga', 'x', '-2', 'KiB']);
  verdicts('time', ['2026-01-31', '2026-01-31T10:00:00Z'], ['yesterday', '2026-13-01', '31.01.2026']);
});

test('addresses', () => {
  verdicts(
    'servers',
    [
      'nats://a:4222',
      'a',
      'tls://a.b, b:4222',
      '[::1]:4222',
      'ws://h/',
      'nats://u:p@h',
      't@h:4222',
      'nats://u:p@/@h',
    ],
    ['a b', 'nats://u:p@', '@', 'a:', 'a:123456', ','],
  );
  verdicts('url', ['https://x.y', 'http://h:1/p'], ['ftp://x', 'x.y', 'https://']);
  verdicts(
    'endpoint',
    ['h.com:443', 'http://127.0.0.1:9', 'http://localhost:9/', 'http://[::1]:9'],
    ['h.com', 'http://h.com:9', 'h:'],
  );
});

test('names of the org', () => {
  verdicts('apiName', ['Order__c'], ['My Object', 'a.b']);
  verdicts('apiNames', ['Id, Owner.Name'], ['Id; Name', 'a..b', 'a.']);
  verdicts('apiVersion', ['65.0', '100.0'], ['65', 'v65.0', '65.1']);
  verdicts('eventTopic', ['/event/A__e'], ['/event/A__chn', '/data/A', 'A__e']);
  verdicts(
    'topic',
    ['/event/A__e', '/data/ChangeEvents', '/event/A__chn'],
    ['/other/A', '/event/', '/event/a b'],
  );
  verdicts('jsonObject', ['{}', '{"a":1}'], ['[]', 'null', '1', '{']);
});

test('a field map: each field named, once, with a value of its type', () => {
  const faultOf = (payload: unknown) => {
    const fault = fieldMap().check(payload, () => undefined);
    return fault === undefined || english[fault.text as keyof typeof english];
  };
  const check = (...fields: [string, string?, string?][]) =>
    faultOf({
      mode: 'map',
      fields: fields.map(([name, type = 'msg', value = 'payload.a']) => ({ name, type, value })),
    });
  assert.equal(check(['A'], ['B']), true);
  assert.match(String(check(['A'], ['B'], [' A '])), /twice/i);
  assert.match(String(check(['A'], [' '])), /needs a name/);
  assert.match(String(check()), /at least one field/);
  for (const wrong of [
    ['A', 'num', 'x'],
    ['A', 'num', ' '],
    ['A', 'json', '{'],
    ['A', 'template', '{{payload.x'],
    ['A', 'msg', 'payload.'],
    ['A', 'env', ' '],
  ] as [string, string, string][])
    assert.match(String(check(['B'], wrong)), /value is not what its type says/, wrong.join());
  for (const right of [
    ['A', 'num', '1'],
    ['A', 'json', '{}'],
    ['A', 'template', '{{payload.x}}'],
    ['A', 'str', ''],
    ['A', 'bool', ''],
  ] as [string, string, string][])
    assert.equal(check(right), true, right.join());
  assert.equal(faultOf({ mode: 'event' }), true);
});
