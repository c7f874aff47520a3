import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { startOrg } from '../org/org';
import { temporaryFolder } from '../support/cleanup';
import { embedNodeRed, type FlowNode } from '../support/node-red';
import { until } from '../support/until';
import { root } from '../support/user-dir';

test('the example of every operation does what its buttons say', async (t) => {
  const folder = temporaryFolder('operations');
  const org = await startOrg();
  const { clientId, clientSecret, username, password, url } = org;
  const credentials = join(folder.path, 'sfdc.json');
  writeFileSync(
    credentials,
    JSON.stringify({ client_id: clientId, client_secret: clientSecret, username, password, login_url: url }),
  );
  const text = readFileSync(join(root, 'examples', 'Read and write records.json'), 'utf8');
  const flows = (JSON.parse(text) as FlowNode[]).map((node) =>
    node.type === 'sfdc-org' ? { ...node, credentialsPath: credentials } : node,
  );
  const red = await embedNodeRed({ flows });
  t.after(async () => {
    await red.stop();
    await org.close();
    folder.remove();
  });

  const idOf = (name: string): string => flows.find((node) => node.name === name)?.id ?? assert.fail(name);
  const [results, refused] = [idOf('results'), idOf('refused rows')];
  type Rows = {
    id: string;
    success: boolean;
    created?: boolean;
    errors: { statusCode: string }[];
    record: unknown;
  }[];
  const press = async (button: string): Promise<Rows> => {
    const before = red.received(results).length;
    await red.inject(idOf(button));
    const msg = await until(() => red.received(results)[before], { what: `the result of "${button}"` });
    return msg.payload as Rows;
  };
  const names = (sobject: string): unknown[] =>
    org
      .records(sobject)
      .map((row) => row.LastName ?? row.Name)
      .sort();

  assert.equal((await press('create one')).length, 1);
  assert.equal((await press('create an array')).length, 2);
  assert.deepEqual(names('Contact'), ['First', 'Second', 'Third']);
  assert.deepEqual(
    (await press('get one')).map(({ record }) => (record as { LastName: string }).LastName),
    ['First'],
  );
  assert.equal((await press('get an array')).length, 3);
  assert.ok((await press('update one')).every(({ success }) => success));
  assert.ok((await press('update an array')).every(({ success }) => success));
  assert.ok(org.records('Contact').every((row) => row.Description === 'each'));
  assert.deepEqual(
    (await press('upsert one')).map(({ created }) => created),
    [true],
  );
  const mixed = await press('upsert an array');
  assert.deepEqual(
    mixed.map(({ success }) => success),
    [true, true, false],
  );
  const rows = (await until(() => red.received(refused)[0])).payload as Rows;
  assert.deepEqual(
    rows.map(({ errors }) => errors[0]?.statusCode),
    ['REQUIRED_FIELD_MISSING'],
  );
  assert.equal((await press('delete one')).length, 1);
  assert.equal((await press('delete an array')).length, 2);
  assert.deepEqual(names('Contact'), ['New', 'Upserted again']);
  assert.equal((await press('tree one')).length, 1);
  assert.equal((await press('tree an array')).length, 2);
  assert.deepEqual(names('Account'), ['Example 1', 'Example 2', 'Example 3']);
  assert.ok(names('Contact').includes('Contact of example 3'));
});
