import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import {
  createAccount,
  createOperator,
  createUser,
  encodeAccount,
  encodeOperator,
  encodeUser,
  fmtCreds,
  type KeyPair as NKeyPair,
} from '@nats-io/jwt';
import { connect } from 'nats';
import { Connection } from '../../nodes/jetstream/server/connection';
import { testConnection } from '../../nodes/jetstream/streams/lookups';
import type { ServerSettings } from '../../nodes/jetstream/server/server-settings';
import { makeAuthority, type Authority } from '../support/certificates';
import { temporaryFolder } from '../support/cleanup';
import { embedNodeRed, type FlowNode } from '../support/node-red';
import { startNats, type Nats } from '../support/nats';
import { until } from '../support/until';
import { functionNode, inNode, placed, serverNode, TAB } from './room';

/** Connects by `settings` and says how that ended: "connected", or the code of what is wrong. */
async function outcome(settings: Partial<ServerSettings> & { servers: string }): Promise<string> {
  const connection = new Connection({ auth: 'none', ...settings });
  const done = connection.use({});
  try {
    const state = await until(() =>
      ['connected', 'disconnected'].includes(connection.state.phase) ? connection.state : undefined,
    );
    return state.phase === 'disconnected' ? state.reason.code : state.phase;
  } finally {
    await done();
  }
}

const text = (seed: Uint8Array): string => new TextDecoder().decode(seed);

describe('every way to log in', () => {
  let folder: ReturnType<typeof temporaryFolder>;
  before(() => (folder = temporaryFolder('access')));
  after(() => folder.remove());
  const file = (name: string, content: string): string => {
    const path = join(folder.path, name);
    writeFileSync(path, content);
    return path;
  };

  test('user and password, and their JSON file', async () => {
    const nats = await startNats({ config: 'authorization { user: "u", password: "p" }' });
    const servers = nats.url;
    assert.equal(await outcome({ servers, auth: 'userpass', user: 'u', password: 'p' }), 'connected');
    assert.equal(await outcome({ servers, auth: 'userpass', user: 'u', password: 'x' }), 'AUTHORIZATION');
    assert.equal(await outcome({ servers, auth: 'none' }), 'AUTHORIZATION');
    assert.equal(
      await outcome({
        servers,
        auth: 'file',
        credentialsPath: file('up.json', '{"user":"u","password":"p"}'),
      }),
      'connected',
    );
    assert.equal(
      await outcome({ servers, auth: 'file', credentialsPath: file('empty.json', '{}') }),
      'BAD_CREDENTIALS',
    );
    await nats.stop();
  });

  test('token, and its JSON file', async () => {
    const nats = await startNats({ config: 'authorization { token: "t0ken" }' });
    const servers = nats.url;
    assert.equal(await outcome({ servers, auth: 'token', token: 't0ken' }), 'connected');
    assert.equal(await outcome({ servers, auth: 'token', token: 'wrong' }), 'AUTHORIZATION');
    assert.equal(await outcome({ servers, auth: 'token' }), 'NO_CREDENTIALS');
    assert.equal(
      await outcome({ servers, auth: 'file', credentialsPath: file('t.json', '{"token":"t0ken"}') }),
      'connected',
    );
    await nats.stop();
  });

  test('nkey, and its JSON file', async () => {
    const user = createUser();
    const seed = text(user.getSeed());
    const nats = await startNats({ config: `authorization { users: [{ nkey: "${user.getPublicKey()}" }] }` });
    const servers = nats.url;
    assert.equal(await outcome({ servers, auth: 'nkey', nkeySeed: seed }), 'connected');
    assert.equal(
      await outcome({ servers, auth: 'nkey', nkeySeed: text(createUser().getSeed()) }),
      'AUTHORIZATION',
    );
    for (const wrong of [seed.slice(0, -1), `${seed.slice(0, 20)}A${seed.slice(21)}B`, 'a password'])
      assert.equal(await outcome({ servers, auth: 'nkey', nkeySeed: wrong }), 'BAD_CREDENTIALS');
    assert.equal(
      await outcome({
        servers,
        auth: 'file',
        credentialsPath: file('n.json', JSON.stringify({ nkey: { seed } })),
      }),
      'connected',
    );
    await nats.stop();
  });

  test('operator mode: JWT with seed, .creds as text and as a file, JSON file', async () => {
    const operator = createOperator();
    const account = createAccount();
    const system = createAccount();
    const user: NKeyPair = createUser();
    const unlimited = {
      mem_storage: -1,
      disk_storage: -1,
      streams: -1,
      consumer: -1,
      conn: -1,
      subs: -1,
      data: -1,
      payload: -1,
    };
    const accountJwt = await encodeAccount('app', account, { limits: unlimited }, { signer: operator });
    const systemJwt = await encodeAccount('SYS', system, {}, { signer: operator });
    const jwt = await encodeUser('app-user', user, account);
    const operatorJwt = await encodeOperator('op', operator, { system_account: system.getPublicKey() });
    const nats = await startNats({
      config: `operator: "${operatorJwt}"
        system_account: ${system.getPublicKey()}
        resolver: MEMORY
        resolver_preload: { ${account.getPublicKey()}: "${accountJwt}", ${system.getPublicKey()}: "${systemJwt}" }`,
    });
    const servers = nats.url;
    const seed = text(user.getSeed());
    const creds = text(fmtCreds(jwt, user));
    assert.equal(await outcome({ servers, auth: 'jwt', jwt, nkeySeed: seed }), 'connected');
    assert.equal(await outcome({ servers, auth: 'creds', creds }), 'connected');
    assert.equal(
      await outcome({ servers, auth: 'creds', credentialsPath: file('u.creds', creds) }),
      'connected',
    );
    assert.equal(
      await outcome({ servers, auth: 'file', credentialsPath: file('u2.creds', creds) }),
      'connected',
    );
    assert.equal(
      await outcome({
        servers,
        auth: 'file',
        credentialsPath: file('j.json', JSON.stringify({ jwt, nkey: { seed } })),
      }),
      'connected',
    );
    assert.equal(
      await outcome({ servers, auth: 'jwt', jwt, nkeySeed: text(createUser().getSeed()) }),
      'AUTHORIZATION',
    );
    const [, jetstream] = await testConnection({ servers, auth: 'creds', creds });
    assert.deepEqual(jetstream, {
      state: 'good',
      text: 'check_jetstream',
      values: { streams: 0, consumers: 0 },
    });
    await nats.stop();
  });
});

describe('TLS', () => {
  let authority: Authority;
  let folder: ReturnType<typeof temporaryFolder>;
  const paths = { ca: '', cert: '', key: '' };
  before(async () => {
    authority = await makeAuthority();
    folder = temporaryFolder('tls');
    const server = await authority.server();
    for (const [name, pem] of Object.entries({ ca: authority.ca, ...server })) {
      const path = join(folder.path, `${name}.pem`);
      writeFileSync(path, pem);
      paths[name as keyof typeof paths] = path;
    }
  });
  after(() => folder.remove());
  const secure = (nats: Nats): string => nats.url.replace('nats://', 'tls://');

  test('a server whose authority is trusted, is not trusted, or wants no TLS', async () => {
    const nats = await startNats({ tls: paths });
    assert.equal(await outcome({ servers: nats.url, tls: { ca: authority.ca } }), 'connected');
    assert.equal(await outcome({ servers: secure(nats) }), 'TLS');
    await nats.stop();
    const plain = await startNats();
    assert.equal(await outcome({ servers: plain.url, tls: { ca: authority.ca } }), 'TLS');
    await plain.stop();
  });

  test('client certificates, through the core tls-config node', async () => {
    const nats = await startNats({ tls: { ...paths, verify: true } });
    const client = await authority.client('node-red');
    assert.equal(await outcome({ servers: nats.url, tls: { ca: authority.ca, ...client } }), 'connected');
    assert.notEqual(await outcome({ servers: nats.url, tls: { ca: authority.ca } }), 'connected');

    const flows: FlowNode[] = [
      TAB,
      {
        id: 'tls',
        type: 'tls-config',
        name: '',
        cert: '',
        key: '',
        ca: '',
        certname: 'c',
        keyname: 'k',
        caname: 'a',
        servername: '',
        verifyservercert: true,
        alpnprotocol: '',
        credentials: { certdata: client.cert, keydata: client.key, cadata: authority.ca, passphrase: '' },
      },
      serverNode(secure(nats), { tls: 'tls' }),
      placed(inNode({ wires: [['f']] })),
      placed(functionNode('f', 'return null;')),
    ];
    const red = await embedNodeRed({ flows });
    await until(() => red.statusOf('in')?.text === 'ready', { what: 'jetstream-in to be ready' });
    await red.stop();
    await nats.stop();
  });

  test('TLS first', async () => {
    const nats = await startNats({ tls: { ...paths, handshakeFirst: true } });
    assert.equal(
      await outcome({ servers: nats.url, tls: { ca: authority.ca }, tlsFirst: true }),
      'connected',
    );
    await nats.stop();
  });
});

describe('least rights (the table of docs/nats-rights.md)', () => {
  const inbox = '_INBOX_app';
  /** A server with an administrator and the user "app", who may do only this. */
  const restricted = (publish: string[], subscribe = [`${inbox}.>`]): Promise<Nats> =>
    startNats({
      config: `accounts: { APP: { jetstream: enabled, users: [
        { user: "admin", password: "admin" },
        { user: "app", password: "app", permissions: { publish: ${JSON.stringify(publish)}, subscribe: ${JSON.stringify(subscribe)} } }
      ] } }`,
    });
  const app = { auth: 'userpass', user: 'app', inboxPrefix: inbox, credentials: { password: 'app' } };
  const flows = (nats: Nats, more: object = {}): FlowNode[] =>
    [
      TAB,
      serverNode(nats.url, app),
      inNode({ wires: [['f']], provision: false, deadLetter: '', ...more }),
      functionNode('f', 'return null;'),
    ].map(placed);
  const admin = async (nats: Nats) => {
    const nc = await connect({ servers: nats.url, user: 'admin', pass: 'admin' });
    const jsm = await nc.jetstreamManager();
    await jsm.streams.add({ name: 'crm', subjects: ['crm.>'] });
    return { nc, jsm };
  };
  const consume = [
    '$JS.API.CONSUMER.INFO.crm.flow',
    '$JS.API.CONSUMER.MSG.NEXT.crm.flow',
    '$JS.ACK.crm.flow.>',
  ];

  test('consuming from an existing durable', async () => {
    const nats = await restricted(consume);
    const { nc, jsm } = await admin(nats);
    await jsm.consumers.add('crm', {
      durable_name: 'flow',
      ack_policy: 'explicit' as never,
      filter_subject: 'crm.contacts.>',
      ack_wait: 30e9,
    });
    const red = await embedNodeRed({ flows: flows(nats) });
    await until(() => red.statusOf('in')?.text === 'ready', { what: 'jetstream-in to be ready' });
    await nc.jetstream().publish('crm.contacts.x', '{}');
    await until(() => red.received('f').length === 1);
    await until(async () => (await jsm.consumers.info('crm', 'flow')).num_ack_pending === 0);
    await red.stop();
    await nc.close();
    await nats.stop();
  });

  test('making the durable needs one right more', async () => {
    const nats = await restricted([...consume, '$JS.API.CONSUMER.CREATE.crm.flow.>']);
    const { nc } = await admin(nats);
    const red = await embedNodeRed({ flows: flows(nats) });
    await until(() => red.statusOf('in')?.text === 'ready', { what: 'jetstream-in to be ready' });
    await red.stop();
    await nc.close();
    await nats.stop();
  });

  test('provisioning needs three rights more', async () => {
    const nats = await restricted([
      ...consume,
      '$JS.API.CONSUMER.CREATE.crm.flow.>',
      '$JS.API.STREAM.INFO.crm',
      '$JS.API.STREAM.CREATE.crm',
      '$JS.API.STREAM.UPDATE.crm',
    ]);
    const red = await embedNodeRed({
      flows: flows(nats, { provision: true, streamConfig: { subjects: ['crm.>'] } }),
    });
    await until(() => red.statusOf('in')?.text === 'ready', { what: 'jetstream-in to be ready' });
    await red.deploy(flows(nats, { provision: true, streamConfig: { subjects: ['crm.>', 'orders.>'] } }));
    await red.waitForLog(/The stream "crm" was changed: Stream subjects: crm\.> → crm\.>, orders\.>/);
    await red.stop();
    await nats.stop();
  });

  for (const missing of [
    '$JS.API.CONSUMER.MSG.NEXT.crm.flow',
    '$JS.API.CONSUMER.INFO.crm.flow',
    '$JS.ACK.crm.flow.>',
  ]) {
    test(`without ${missing} the log names that subject`, async () => {
      const nats = await restricted(
        [...consume, '$JS.API.CONSUMER.CREATE.crm.flow.>'].filter((subject) => subject !== missing),
      );
      const { nc } = await admin(nats);
      const red = await embedNodeRed({ flows: flows(nats) });
      await nc.jetstream().publish('crm.contacts.x', '{}');
      // That what was tried can't be kept either is said besides.
      const escaped = missing.replace('.>', '').replaceAll('$', '\\$');
      await red.waitForLog(new RegExp(`may not publish to.*${escaped}`));
      await until(() => red.statusOf('in')?.text === 'right missing');
      await red.stop();
      await nc.close();
      await nats.stop();
    });
  }

  test('without its inbox the log names that', async () => {
    const nats = await restricted(consume, ['nothing']);
    const { nc } = await admin(nats);
    const red = await embedNodeRed({ flows: flows(nats) });
    const { text: said } = await red.waitForLog(/may not subscribe to/);
    assert.match(said, /inbox/i);
    await red.stop();
    await nc.close();
    await nats.stop();
  });

  test('publishing needs its subjects and its inbox', async () => {
    const nats = await restricted(['crm.out.>']);
    const { nc } = await admin(nats);
    const out = (subject: string): FlowNode[] =>
      [
        TAB,
        serverNode(nats.url, app),
        {
          id: 'out',
          type: 'jetstream-out',
          z: 'tab',
          server: 'server',
          subject,
          msgId: '',
          headers: [],
          window: 256,
          wires: [['f']],
        },
        functionNode('f', 'return null;'),
      ].map(placed);
    const red = await embedNodeRed({ flows: out('crm.out.a') });
    red.send('out', { payload: 1 });
    await until(() => red.received('f').length === 1);
    await red.deploy(out('crm.other'));
    red.send('out', { payload: 1 });
    await red.waitForLog(/may not publish to "crm\.other"/);
    await red.stop();
    await nc.close();
    await nats.stop();
  });
});
