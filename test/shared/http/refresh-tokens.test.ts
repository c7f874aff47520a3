import { afterEach, beforeEach, test } from 'node:test';
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createHash } from 'node:crypto';
import { refreshTokens, type TokenOwner } from '../../../nodes/shared/http/refresh-tokens';
import { temporaryFolder } from '../../support/cleanup';

let folder: ReturnType<typeof temporaryFolder>;
beforeEach(() => (folder = temporaryFolder('tokens')));
afterEach(() => folder.remove());

/** Another one in each test: tokens are known to the whole process. */
const owner = (more: Partial<TokenOwner> = {}): TokenOwner => ({
  loginUrl: 'https://acme.example',
  clientId: 'client',
  refreshToken: randomUUID(),
  ...more,
});
const store = () => refreshTokens(join(folder.path, 'tokens'), assert.fail);
/** Logs in, with an org that gives this token in return. */
const login = async (tokens: ReturnType<typeof store>, who: TokenOwner, next?: string) => {
  let used = '';
  await tokens.use(who, (token) => {
    used = token;
    return Promise.resolve({ refreshToken: next });
  });
  return used;
};

test('one that the org replaces is used from then on', async () => {
  const who = owner();
  assert.equal(await login(store(), who, 'R1'), who.refreshToken);
  assert.equal(await login(store(), who, 'R2'), 'R1');
  assert.equal(await login(store(), who), 'R2');
});

test('it is kept in a file that nobody else may read, and is found by the next process', async () => {
  const who = owner();
  await login(store(), who, 'R1');
  const kept = join(folder.path, 'tokens');
  const [name = '', ...more] = readdirSync(kept);
  assert.deepEqual(more, []);
  assert.equal(readFileSync(join(kept, name), 'utf8'), 'R1');
  if (process.platform !== 'win32')
    assert.deepEqual([statSync(kept).mode & 0o777, statSync(join(kept, name)).mode & 0o777], [0o700, 0o600]);
  // Known to no process: as after a restart.
  const later = owner();
  const key = createHash('sha256').update(
    JSON.stringify(['https://acme.example', 'client', later.refreshToken]),
  );
  writeFileSync(join(kept, key.digest('hex')), 'from before');
  assert.equal(await login(store(), later), 'from before');
});

test('it is sent to no other address, for no other client, and for no token entered anew', async () => {
  const who = owner();
  await login(store(), who, 'R1');
  for (const other of [
    { loginUrl: 'https://evil.example' },
    { clientId: 'another' },
    { refreshToken: 'new' },
  ])
    assert.notEqual(await login(store(), { ...who, ...other }), 'R1');
});

test('two sessions never use one token twice: the second waits for what the first gets', async () => {
  const who = owner();
  const used: string[] = [];
  const turn = (tokens: ReturnType<typeof store>) =>
    tokens.use(who, async (token) => {
      used.push(token);
      await new Promise((resolve) => setImmediate(resolve));
      return { refreshToken: `after ${token.slice(0, 1)}${used.length}` };
    });
  const first = refreshTokens(folder.path, assert.fail);
  await Promise.all([turn(first), turn(store()), turn(first)]);
  assert.equal(new Set(used).size, 3);
  assert.equal(used[0], who.refreshToken);
});

test('a login that fails changes nothing, and holds up nobody', async () => {
  const who = owner();
  const tokens = store();
  const lost = tokens.use(who, () => Promise.reject(new Error('away')));
  const next = login(tokens, who);
  await assert.rejects(lost, /away/);
  assert.equal(await next, who.refreshToken);
});

test('where it can’t be kept the log says so, and it is used as long as the process lives', async () => {
  for (const place of [undefined, '/dev/null/tokens']) {
    const said: string[] = [];
    const tokens = refreshTokens(place, (text) => said.push(text));
    const who = owner();
    await login(tokens, who, 'R1');
    assert.match(said.join(), /can't be kept for the next start/);
    assert.doesNotMatch(said.join(), /R1/);
    assert.equal(await login(tokens, who), 'R1');
  }
});

test('one that a version before kept in the context moves out of it', async () => {
  const who = owner();
  const of = createHash('sha256').update(who.refreshToken).digest('base64url');
  const context = new Map<string, unknown>([['rotatedRefreshToken', { of, token: 'R7' }]]);
  const open = {
    get: (key: string) => context.get(key),
    set: (key: string, value: unknown) => context.set(key, value),
  };
  assert.equal(await login(refreshTokens(folder.path, assert.fail, open), who), 'R7');
  assert.equal(context.get('rotatedRefreshToken'), undefined);
  assert.equal(await login(refreshTokens(folder.path, assert.fail), who), 'R7');
});
