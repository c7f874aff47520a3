import { join } from 'node:path';
import { startChild } from '../test/support/child';
import type { FlowNode } from '../test/support/node-red';
import { until } from '../test/support/until';
import { root } from '../test/support/user-dir';

export interface OrgProcess {
  login: string;
  pubsub: string;
  clientId: string;
  clientSecret: string;
  /** Of its own CA, with `--tls`. */
  ca?: string;
  stop(): Promise<void>;
}

/** The simulated org in a process of its own, so that its work is not ours. `args`: as `npm run org` takes them. */
export async function startOrgProcess(...args: string[]): Promise<OrgProcess> {
  const main = join(root, 'test/org/main.ts');
  const child = startChild(process.execPath, ['--import', 'tsx', main, ...args], { cwd: root });
  const line = await until(() => child.log.find((text) => text.startsWith('{')), {
    timeout: 30_000,
    what: 'the org',
  });
  return { ...(JSON.parse(line) as Omit<OrgProcess, 'stop'>), stop: () => child.end('SIGTERM') };
}

/** A tab, and the config node of the org. */
export function orgNodes({ login, pubsub, clientId, clientSecret }: OrgProcess): FlowNode[] {
  return [
    { id: 'tab', type: 'tab', label: 'Bench' },
    {
      id: 'org',
      type: 'sfdc-org',
      auth: 'client-credentials',
      loginUrl: login,
      apiVersion: '65.0',
      pubsubEndpoint: pubsub,
      credentials: { clientId, clientSecret },
    },
  ];
}
