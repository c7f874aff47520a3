import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { connect } from 'nats';
import { natsServerPath, type NatsVersion } from '../../scripts/nats-server';
import { startChild, waitForLine, type Child } from './child';
import { freePort, temporaryFolder } from './cleanup';
import { until } from './until';

export interface NatsOptions {
  /** Default: $NATS_TEST_VERSION, else latest. */
  version?: NatsVersion;
  /** Default true. */
  jetstream?: boolean;
  port?: number;
  /** Paths of PEM files. */
  tls?: { cert: string; key: string; ca?: string; verify?: boolean; handshakeFirst?: boolean };
  /** More text for the configuration file, e.g. `authorization { token: "x" }`. */
  config?: string;
  name?: string;
}

/** A real nats-server on 127.0.0.1, with a store of its own. */
export interface Nats {
  readonly url: string;
  readonly port: number;
  readonly pid: number;
  /** Folder of the configuration and the JetStream store. */
  readonly dir: string;
  readonly log: string[];
  /** Ends the process (SIGKILL unless said otherwise); the store stays. */
  kill(signal?: NodeJS.Signals): Promise<void>;
  /** The server hangs: its sockets stay open, nothing answers. */
  suspend(): void;
  resume(): void;
  /** Starts it again on the same port and store, after ending it where it still runs. */
  restart(): Promise<void>;
  /** Ends it for good and deletes its folder. */
  stop(): Promise<void>;
}

export async function startNats(options: NatsOptions = {}): Promise<Nats> {
  const binary = await natsServerPath(
    options.version ?? (process.env.NATS_TEST_VERSION === '2.10' ? '2.10' : 'latest'),
  );
  const folder = temporaryFolder('nats');
  const port = options.port ?? (await freePort());
  const file = join(folder.path, 'nats.conf');
  writeFileSync(file, configuration(options, port, join(folder.path, 'store')));

  const log: string[] = [];
  const start = async (): Promise<Child> => {
    const from = log.length;
    const started = startChild(binary, ['-c', file], { log });
    await waitForLine(started, /Server is ready/, { from, what: 'nats-server to be ready' });
    return started;
  };
  let child = await start();

  return {
    url: `nats://127.0.0.1:${port}`,
    port,
    get pid() {
      return child.pid;
    },
    dir: folder.path,
    log,
    kill: (signal = 'SIGKILL') => child.end(signal),
    suspend() {
      child.signal('SIGSTOP');
      waitStopped(child.pid);
    },
    resume: () => child.signal('SIGCONT'),
    async restart() {
      await child.end('SIGKILL');
      child = await start();
    },
    async stop() {
      await child.end('SIGKILL');
      folder.remove();
    },
  };
}

export interface Cluster {
  readonly servers: Nats[];
  /** All servers' addresses, separated by commas. */
  readonly url: string;
  /** The server with this name (n1, n2, n3), as JetStream names its leaders. */
  server(name: string): Nats;
  stop(): Promise<void>;
}

/** A signal takes a moment to arrive, in which the server would still answer. */
function waitStopped(pid: number): void {
  const status = `/proc/${pid}/stat`;
  const deadline = Date.now() + 1_000;
  while (existsSync(status) && !/\) T /.test(readFileSync(status, 'utf8')) && Date.now() < deadline);
}

/** A server of 2.10 now and then takes part in no election for good. */
const ATTEMPTS = 3;

/** A cluster whose JetStream has elected its leader; one that doesn't is started anew. */
export async function startCluster(size = 3, options: NatsOptions = {}): Promise<Cluster> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await formCluster(size, options);
    } catch (error) {
      if (attempt === ATTEMPTS) throw error;
    }
  }
}

async function formCluster(size: number, options: NatsOptions): Promise<Cluster> {
  const names = Array.from({ length: size }, (_, index) => `n${index + 1}`);
  const ports = await Promise.all(
    names.map(async () => ({ route: await freePort(), http: await freePort() })),
  );
  const routes = ports.map(({ route }) => `nats-route://127.0.0.1:${route}`).join(', ');
  const servers = await Promise.all(
    names.map((name, index) =>
      startNats({
        ...options,
        name,
        port: undefined,
        config: `
          http: "127.0.0.1:${ports[index]?.http}"
          cluster { name: test, listen: "127.0.0.1:${ports[index]?.route}", routes: [${routes}] }
          ${options.config ?? ''}`,
      }),
    ),
  );
  const stop = async () => void (await Promise.all(servers.map((server) => server.stop())));
  const ready = async ({ http }: { http: number }) => {
    const answer = await fetch(`http://127.0.0.1:${http}/jsz`);
    const { meta_cluster } = (await answer.json()) as {
      meta_cluster?: { leader?: string; cluster_size?: number };
    };
    return Boolean(meta_cluster?.leader && meta_cluster.cluster_size === size);
  };
  try {
    await until(async () => (await Promise.all(ports.map(ready))).every(Boolean), {
      timeout: 30_000,
      what: `a JetStream leader among ${size} servers`,
    });
    // One that knows its leader needn't have an answer yet.
    const nc = await connect({ servers: servers.map(({ url }) => url) });
    await until(() => nc.jetstreamManager(), { timeout: 30_000, what: 'JetStream to answer' });
    await nc.close();
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    servers,
    url: servers.map(({ url }) => url).join(','),
    server(name) {
      const found = servers[names.indexOf(name)];
      if (!found) throw new Error(`no server ${name} among ${names.join(', ')}`);
      return found;
    },
    stop,
  };
}

function configuration(
  { jetstream = true, tls, config = '', name = 'test' }: NatsOptions,
  port: number,
  store: string,
) {
  return `
    server_name: ${name}
    listen: "127.0.0.1:${port}"
    ${jetstream ? `jetstream { store_dir: ${JSON.stringify(store)} }` : ''}
    ${tls ? `tls {\n${tlsLines(tls).join('\n')}\n}` : ''}
    ${config}
  `;
}

function tlsLines({ cert, key, ca, verify, handshakeFirst }: NonNullable<NatsOptions['tls']>): string[] {
  return [
    `cert_file: ${JSON.stringify(cert)}`,
    `key_file: ${JSON.stringify(key)}`,
    ...(ca ? [`ca_file: ${JSON.stringify(ca)}`] : []),
    ...(verify ? ['verify: true'] : []),
    ...(handshakeFirst ? ['handshake_first: true'] : []),
  ];
}
