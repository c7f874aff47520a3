import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { embedNodeRed, type EmbeddedNodeRed } from '../support/node-red';
import { root } from '../support/user-dir';

test('each line of docs/security.md names a test that there is', () => {
  const lines = readFileSync(join(root, 'docs/security.md'), 'utf8').split('\n');
  const rows = lines.filter((line) => /^\| (?!can |-)/.test(line));
  assert.ok(rows.length > 20);
  for (const row of rows) {
    const [, file = '', title = ''] = /`(test\/[^`]+)`: (.+?) *\|$/.exec(row) ?? [];
    assert.ok(file, row);
    assert.ok(readFileSync(join(root, file), 'utf8').includes(title), `${file} has no "${title}"`);
  }
});

describe('with adminAuth', () => {
  const SECRET = 'a-token-that-nobody-sees';
  const RIGHTS: Record<string, string> = { reader: 'read', editor: '*' };
  let red: EmbeddedNodeRed;
  before(async () => {
    const tokens = (token: string) =>
      Promise.resolve(token in RIGHTS ? { username: token, permissions: RIGHTS[token] } : null);
    red = await embedNodeRed({
      flows: [
        {
          id: 'server',
          type: 'jetstream-server',
          servers: 'nats://127.0.0.1:1',
          auth: 'token',
          credentials: { token: SECRET },
        },
      ],
      settings: { disableEditor: false, adminAuth: { type: 'credentials', users: [], tokens } },
    });
  });
  after(() => red.stop());

  const as = (user: string | undefined, path: string, body?: object) =>
    fetch(`${red.url}/${path}`, {
      method: body ? 'POST' : 'GET',
      headers: { 'content-type': 'application/json', ...(user && { authorization: `Bearer ${user}` }) },
      ...(body && { body: JSON.stringify(body) }),
    });
  const ROUTES = [
    'jetstream-server/test',
    'jetstream-server/streams',
    'sfdc-org/test',
    'sfdc-org/fields',
    'api-source/collections',
  ];

  test('without a login nobody asks anything', async () => {
    for (const route of ROUTES)
      assert.equal((await as(undefined, `jetforce/${route}`, {})).status, 401, route);
    for (const route of ROUTES)
      assert.equal((await as('nobody', `jetforce/${route}`, {})).status, 401, route);
  });

  test('who may only read looks nothing up', async () => {
    assert.equal((await as('reader', 'flows')).status, 200);
    for (const route of ROUTES)
      assert.equal((await as('reader', `jetforce/${route}`, {})).status, 401, route);
    assert.equal((await as('editor', 'jetforce/jetstream-server/test', {})).status, 200);
  });

  test('flows carry no secrets', async () => {
    for (const path of ['flows', 'credentials/jetstream-server/server'])
      for (const user of Object.keys(RIGHTS)) {
        const answer = await as(user, path);
        assert.equal(answer.status, 200);
        assert.doesNotMatch(await answer.text(), new RegExp(SECRET));
      }
  });
});
