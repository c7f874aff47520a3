import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hashSync } from 'bcryptjs';
import { startNodeRed } from '../support/node-red';

test('the operations routes ask for jetforce.read, and for jetforce.write where something is done', async (t) => {
  const password = hashSync('password', 4);
  const users = [
    { username: 'reader', password, permissions: ['jetforce.read'] },
    { username: 'writer', password, permissions: 'jetforce.write' },
    { username: 'other', password, permissions: 'flows.write' },
  ];
  const red = await startNodeRed({
    flows: [{ id: 'tab', type: 'tab', label: 'Test' }],
    settings: { adminAuth: { type: 'credentials', users } },
  });
  t.after(() => red.stop());
  const login = async (username: string): Promise<string> => {
    const answer = await fetch(`${red.url}/auth/token`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({
        ...{ client_id: 'node-red-admin', grant_type: 'password', scope: '', username },
        password: 'password',
      }),
    });
    return ((await answer.json()) as { access_token: string }).access_token;
  };
  const statuses = async (token?: string) => {
    const headers = {
      'content-type': 'application/json',
      ...(token && { authorization: `Bearer ${token}` }),
    };
    const ask = async (path: string, method = 'GET') =>
      (
        await fetch(`${red.url}/jetforce/${path}`, {
          method,
          headers,
          ...(method === 'POST' && { body: '{}' }),
        })
      ).status;
    return [
      await ask('state'),
      await ask('metrics'),
      await ask('nodes/x/letters'),
      await ask('nodes/x/pause', 'POST'),
    ];
  };
  assert.deepEqual(await statuses(), [401, 401, 401, 401], 'nobody');
  assert.deepEqual(await statuses(await login('reader')), [200, 200, 200, 401], 'a reader');
  assert.deepEqual(await statuses(await login('writer')), [401, 401, 401, 200], 'a writer');
  assert.deepEqual(await statuses(await login('other')), [401, 401, 401, 401], 'somebody else');
});
