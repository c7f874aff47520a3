import { placed, type FlowNode } from './user-dir';

export type DeployType = 'full' | 'nodes' | 'flows';

/** Calls Node-RED's admin API; an answer that is no success is an error with its text. */
export async function adminApi(url: string, method: string, path: string, body?: unknown, headers = {}) {
  const response = await fetch(url + path, {
    method,
    headers: { Accept: 'application/json', 'Content-Type': 'application/json', ...headers },
    body: body === undefined ? undefined : JSON.stringify(body),
    signal: AbortSignal.timeout(30_000),
  });
  const text = await response.text();
  if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
  return response.headers.get('content-type')?.includes('json') ? (JSON.parse(text) as unknown) : text;
}

/** Sends flows as the editor's Deploy button does. Node-RED starts them after it has answered. */
export async function postFlows(url: string, flows: FlowNode[], type: DeployType): Promise<void> {
  const headers = { 'Node-RED-Deployment-Type': type, 'Node-RED-API-Version': 'v2' };
  await adminApi(url, 'POST', '/flows', { flows: placed(flows) }, headers);
}

/** Presses the button of an inject node; with `message`, sends these properties instead of its own. */
export async function pressInject(url: string, id: string, message?: Record<string, unknown>): Promise<void> {
  const props = Object.entries(message ?? {}).map(([p, v]) => ({ p, v: JSON.stringify(v), vt: 'json' }));
  await adminApi(url, 'POST', `/inject/${id}`, message ? { __user_inject_props__: props } : {});
}

/** What a deploy that has started its nodes writes to the log; the second says why it hasn't. */
export const STARTED = /Started (modified )?(flows|nodes)|(Flows|Nodes) sind gestartet/;
export const NOT_STARTED = /Waiting for missing types|Failed to load external modules/;
