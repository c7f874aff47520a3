import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { adminApi } from '../support/admin-api';
import { freePort } from '../support/cleanup';
import { startNodeRed, type FlowNode, type NodeRed } from '../support/node-red';

/** Which language the runtime speaks to whom. Nobody listens at the address, which is said in all the ways there are. */

interface Answer {
  ok: boolean;
  error: { code: string; message: string };
}

const running: NodeRed[] = [];
after(() => Promise.all(running.map((nodeRed) => nodeRed.stop())));

async function start(lang: string): Promise<{ nodeRed: NodeRed; servers: string }> {
  const servers = `127.0.0.1:${await freePort()}`;
  const nodeRed = await startNodeRed({ settings: { lang }, flows: flow(servers) });
  running.push(nodeRed);
  return { nodeRed, servers };
}

/** What misses a value of its template comes to a Catch node, which says so in the log. */
function flow(servers: string): FlowNode[] {
  return [
    { id: 'tab', type: 'tab', label: 'Test' },
    { id: 'nats', type: 'jetstream-server', servers },
    { id: 'press', type: 'inject', z: 'tab', props: [{ p: 'payload' }], wires: [['out']] },
    {
      id: 'out',
      type: 'jetstream-out',
      z: 'tab',
      server: 'nats',
      subject: 'a.{{payload.b}}',
      wires: [[], []],
    },
    { id: 'catch', type: 'catch', z: 'tab', scope: null, wires: [['debug']] },
    {
      id: 'debug',
      type: 'debug',
      z: 'tab',
      active: true,
      console: true,
      complete: 'error.message',
      wires: [],
    },
  ];
}

async function tested({ url }: NodeRed, servers: string, headers = {}): Promise<Answer> {
  const body = { id: 'nats', config: { servers, auth: 'none' } };
  return (await adminApi(url, 'POST', '/jetforce/jetstream-server/test', body, headers)) as Answer;
}

test('with lang "de" the log, a Catch node and a form are told in German', async () => {
  const { nodeRed, servers } = await start('de');
  await nodeRed.waitForLog(new RegExp(`Unter ${servers} antwortet niemand: läuft dort nats-server`));
  await nodeRed.inject('press');
  await nodeRed.waitForLog(
    /Die Vorlage „a\.\{\{payload\.b\}\}“ will payload\.b, was diese Nachricht nicht hat/,
  );
  const { error } = await tested(nodeRed, servers);
  assert.equal(error.code, 'CONNECTION_REFUSED');
  assert.match(error.message, /^Unter .* antwortet niemand/);
});

test('an English server answers a German editor in German, and writes its log in English', async () => {
  const { nodeRed, servers } = await start('en-US');
  await nodeRed.waitForLog(new RegExp(`Nothing answers at ${servers}`));
  const german = await tested(nodeRed, servers, { 'accept-language': 'de' });
  assert.equal(german.error.code, 'CONNECTION_REFUSED');
  assert.match(german.error.message, /^Unter .* antwortet niemand/);
  assert.match((await tested(nodeRed, servers)).error.message, /^Nothing answers at /);
  await nodeRed.inject('press');
  await nodeRed.waitForLog(/The template "a\.\{\{payload\.b\}\}" asks for payload\.b/);
  assert.deepEqual(
    nodeRed.log.filter((line) => /antwortet niemand/.test(line)),
    [],
  );
});
