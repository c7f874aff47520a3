import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { after, before, describe, test } from 'node:test';
import { connect, type Msg, type NatsConnection } from 'nats';
import { functionNode, inNode, placed, serverNode, TAB } from '../jetstream/room';
import { temporaryFolder } from '../support/cleanup';
import { embedNodeRed, type EmbeddedNodeRed } from '../support/node-red';
import { startNats, type Nats } from '../support/nats';
import { until } from '../support/until';

const KEY = generateKeyPairSync('rsa', { modulusLength: 2048 })
  .privateKey.export({ type: 'pkcs8', format: 'pem' })
  .toString();
const NATS_PASSWORD = 'nats-pa55/word';
const SECRETS = {
  clientSecret: 'client-s3cret&+',
  password: 'pa55 wörd"<',
  securityToken: 'SECTOKEN99',
  refreshToken: '5Aep861.refresh!',
};
const ACCESS = '00D000!ACCESS.token';
const ROTATED = '5Aep861.rotated!';

/** What nobody may see, in the forms in which the org quotes it. */
const HIDDEN = [
  ...Object.values(SECRETS),
  ...Object.values(SECRETS).map(encodeURIComponent),
  ...Object.values(SECRETS).map((secret) => new URLSearchParams({ s: secret }).toString().slice(2)),
  ACCESS,
  ROTATED,
  NATS_PASSWORD,
  encodeURIComponent(NATS_PASSWORD),
  ...KEY.split('\n').filter((line) => line.length > 30 && !line.startsWith('-')),
  // The beginning of each assertion: {"alg":"RS256"}
  'eyJhbGciOiJSUzI1NiJ9',
];

/** An org that quotes everything it is told: logins are refused until `granting`, and writes are refused then. */
class EchoingOrg {
  granting = false;
  private readonly server: Server = createServer((req, res) => {
    let body = '';
    req.on('data', (chunk) => (body += String(chunk)));
    req.on('end', () => this.answer(req, body, res));
  });

  async start(): Promise<string> {
    await new Promise<void>((resolve) => this.server.listen(0, '127.0.0.1', resolve));
    return (this.url = `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`);
  }
  private url = '';

  private answer(req: IncomingMessage, body: string, res: ServerResponse): void {
    const json = (status: number, value: unknown) =>
      res.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value));
    const said = `you sent ${JSON.stringify(req.headers)} ${body} ${decodeURIComponent(body.replaceAll('+', ' '))}`;
    if (!req.url?.endsWith('/oauth2/token')) {
      if (req.url?.includes('/composite'))
        return void json(200, [
          {
            success: false,
            errors: [{ statusCode: 'FIELD_FILTER_VALIDATION_EXCEPTION', message: said, fields: [] }],
          },
        ]);
      return void json(400, [{ errorCode: 'NO_LIMITS', message: said }]);
    }
    if (!this.granting) return void json(400, { error: 'invalid_grant', error_description: said });
    json(200, {
      access_token: ACCESS,
      refresh_token: ROTATED,
      instance_url: this.url,
      id: `${this.url}/id/00D000000000001EAA/005000000000001AAA`,
    });
  }

  stop(): void {
    this.server.closeAllConnections();
    this.server.close();
  }
}

describe('whatever the other side echoes, no secret shows in log, status, Catch, Test answer or dead letter', () => {
  let nats: Nats;
  let nc: NatsConnection;
  let folder: ReturnType<typeof temporaryFolder>;
  before(async () => {
    folder = temporaryFolder('secrets');
    nats = await startNats({ config: `authorization { user: crm, password: "${NATS_PASSWORD}" }` });
    nc = await connect({ servers: nats.url, user: 'crm', pass: NATS_PASSWORD });
  });
  after(async () => {
    await nc.close();
    await nats.stop();
    folder.remove();
  });

  const { clientSecret, password, securityToken, refreshToken } = SECRETS;
  const file = (): string => {
    const path = join(folder.path, 'org.json');
    const content = { client_id: 'client', client_secret: clientSecret, username: 'u@x.y', password };
    writeFileSync(path, JSON.stringify(content));
    return path;
  };
  const logins: [auth: string, config: () => object, secrets: object][] = [
    ['client-credentials', () => ({}), { clientSecret }],
    ['jwt', () => ({ username: 'u@x.y' }), { privateKey: KEY }],
    ['refresh-token', () => ({}), { clientSecret, refreshToken }],
    ['password', () => ({ username: 'u@x.y' }), { clientSecret, password, securityToken }],
    ['file', () => ({ credentialsPath: file() }), {}],
  ];

  for (const [auth, config, secrets] of logins)
    test(auth, async () => {
      const org = new EchoingOrg();
      const loginUrl = await org.start();
      const credentials = { clientId: 'client', ...secrets };
      const orgConfig = { auth, loginUrl, apiVersion: '65.0', pubsubEndpoint: '127.0.0.1:1', ...config() };
      const servers = nats.url.replace('//', `//crm:${encodeURIComponent(NATS_PASSWORD)}@`);
      const stream = `crm-${auth}`;
      const write = (id: string, more: object) => ({
        id,
        type: 'sfdc-composite',
        z: 'tab',
        org: 'org',
        operation: 'create',
        sobject: 'Contact',
        payload: { mode: 'event' },
        wires: [[]],
        ...more,
      });
      const red = await embedNodeRed({
        flows: [
          TAB,
          serverNode(servers),
          { id: 'org', type: 'sfdc-org', ...orgConfig, credentials },
          inNode({
            stream,
            streamConfig: { subjects: [`${auth}.>`] },
            subject: `${auth}.contacts`,
            deadLetter: `${auth}.dead`,
            maxDeliver: 1,
            wires: [['write']],
          }),
          write('write', { onOutage: 'fail' }),
          { id: 'catch', type: 'catch', z: 'tab', scope: null, uncaught: false, wires: [['caught']] },
          functionNode('caught', 'return null;'),
        ].map(placed),
      });
      const letters: Msg[] = [];
      const subscription = nc.subscribe(`${auth}.dead`, { callback: (_error, msg) => letters.push(msg) });
      const tests: unknown[] = [];
      const round = async (count: number) => {
        await until(() => red.statusOf('in')?.text === 'ready' || letters.length > 0);
        await nc.jetstream().publish(`${auth}.contacts`, '{"LastName":"A"}');
        await until(() => letters.length === count, { what: `dead letter ${count}`, timeout: 20_000 });
        tests.push(
          await question(red, 'sfdc-org/test', {
            id: 'org',
            config: orgConfig,
            credentials: dotted(credentials),
          }),
          await question(red, 'jetstream-server/test', { id: 'server', config: { servers, auth: 'none' } }),
          await question(red, 'jetstream-server/test', {
            id: 'server',
            config: { servers, auth: 'token' },
            credentials: { token: NATS_PASSWORD },
          }),
        );
      };
      await round(1);
      org.granting = true;
      await until(() => red.log.some(({ text }) => /is back after/.test(text)), {
        timeout: 30_000,
        what: 'the org',
      });
      await round(2);

      const seen = inspect(
        {
          log: red.log,
          statuses: red.statuses,
          caught: red.received('caught'),
          letters: letters.map(({ headers }) => [...(headers ?? [])]),
          tests,
          context: await context(red),
        },
        { depth: 20, maxStringLength: Infinity, maxArrayLength: Infinity },
      );
      assert.match(seen, /you sent/, 'the org was quoted');
      assert.match(seen, /\*\*\*/);
      assert.match(inspect(letters.map(({ headers }) => headers?.get('Jetforce-Error'))), /you sent/);
      const shown = HIDDEN.filter(
        (secret) => seen.includes(secret) || seen.includes(JSON.stringify(secret).slice(1, -1)),
      );
      assert.deepEqual(shown, []);
      subscription.unsubscribe();
      await red.stop();
      org.stop();
    });
});

const dotted = (secrets: object) =>
  Object.fromEntries(Object.keys(secrets).map((name) => [name, '__PWRD__']));

async function question(red: EmbeddedNodeRed, path: string, body: object): Promise<unknown> {
  const headers = { 'content-type': 'application/json' };
  const answer = await fetch(`${red.url}/jetforce/${path}`, {
    method: 'POST',
    headers,
    body: JSON.stringify(body),
  });
  return answer.json();
}

async function context(red: EmbeddedNodeRed): Promise<unknown> {
  return (await fetch(`${red.url}/context/node/org`)).json();
}
