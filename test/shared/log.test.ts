import assert from 'node:assert/strict';
import { beforeEach, mock, test, afterEach } from 'node:test';
import { logOf, warnOnce, type Log } from '../../nodes/shared/log';
import { Secrets } from '../../nodes/shared/secrets';

let lines: string[];
let log: Log;

beforeEach(() => {
  mock.timers.enable({ apis: ['setTimeout'] });
  lines = [];
  const line = (level: string) => (text: unknown) => void lines.push(`${level}: ${String(text)}`);
  const node = { debug: line('debug'), log: line('info'), warn: line('warn'), error: line('error') };
  const secrets = new Secrets('pass\nword');
  log = logOf(node, (text) => secrets.strike(text));
});
afterEach(() => mock.timers.reset());

test('each text is one line of its level, without secrets and orders to a terminal', () => {
  log('info', 'a\nb');
  log('warn', '\u001b[2J');
  log('error', 'it is pass\nword');
  log('debug', 'x'.repeat(100_000));
  assert.deepEqual(lines.slice(0, 3), ['info: a\\nb', 'warn: \\u001b[2J', 'error: it is ***']);
  assert.ok((lines[3] ?? '').length < 11_000);
});

test('of one cause twenty lines are said, then how many more there were', () => {
  for (let n = 0; n < 1_000; n++) log('warn', `Message ${n} failed`);
  log('warn', 'Another cause');
  assert.equal(lines.length, 21);
  assert.equal(lines.at(-1), 'warn: Another cause');
  mock.timers.tick(10_000);
  assert.equal(lines.at(-1), 'warn: 980 more like this: Message 0 failed');
  log('warn', 'Message 1000 failed');
  assert.equal(lines.at(-1), 'warn: Message 1000 failed');
});

test('words that are never the same twice are one cause, from some on', () => {
  const word = (n: number) => String.fromCharCode(97 + (n % 26), 97 + ((n / 26) % 26), 97 + ((n / 676) % 26));
  for (let n = 0; n < 5_000; n++) log('info', `odd ${word(n)}`);
  assert.ok(lines.length < 1_100, `${lines.length} lines`);
});

test('an error is always said: it may be all that is left of a message', () => {
  for (let n = 0; n < 100; n++) log('error', `Message ${n} is dropped`);
  assert.equal(lines.length, 100);
});

test('a warning is said once, and forgotten only behind hundreds of others', () => {
  const said: string[] = [];
  const warn = warnOnce((level, text) => said.push(`${level}: ${text}`));
  for (let n = 0; n < 3; n++) warn('again');
  assert.deepEqual(said, ['warn: again']);
  for (let n = 0; n < 400; n++) warn(`another ${n}`);
  warn('again');
  assert.equal(said.length, 401);
  for (let n = 0; n < 2_000; n++) warn(`one more ${n}`);
  warn('again');
  assert.equal(said.at(-1), 'warn: again');
});
