import type { NodeAPI } from 'node-red';
import { codeOf, messageOf } from './errors';

/** The values of a config node as they stand in the editor, saved or not. */
export interface ConfigValues {
  /** Its stored secrets stand in for those the form shows as dots. */
  id: string;
  config: Record<string, unknown>;
  credentials: Record<string, string>;
}

/** What a form sends. */
export interface LookupRequest extends ConfigValues {
  /** The config nodes it refers to, by the name of the property, as they stand in the editor. */
  references: Record<string, ConfigValues>;
  /** What is looked for, e.g. {stream: "crm"}. */
  params: Record<string, string>;
}

export type LookupAnswer =
  { ok: true; data: unknown } | { ok: false; error: { code: string; message: string } };

/**
 * POST jetforce/<type>/<action>: lets a form test a connection or look something up before it is deployed.
 * It may use stored secrets, so it asks for the right to change flows. Always answers 200 with a LookupAnswer:
 * a connection that doesn't work is an answer, not a failure of the editor.
 */
export function lookupRoute(
  RED: NodeAPI,
  type: string,
  action: string,
  lookup: (request: LookupRequest) => Promise<unknown>,
): void {
  RED.httpAdmin.post(`/jetforce/${type}/${action}`, RED.auth.needsPermission('flows.write'), (req, res) => {
    const answer = (body: LookupAnswer) => void res.json(body);
    Promise.resolve()
      .then(() => lookup(readRequest(RED, req.body)))
      .then((data) => answer({ ok: true, data }))
      .catch((error: unknown) =>
        answer({ ok: false, error: { code: codeOf(error), message: messageOf(error) } }),
      );
  });
}

/** What the editor puts in the place of a stored secret. */
const STORED = '__PWRD__';

function readRequest(RED: NodeAPI, body: unknown): LookupRequest {
  const { references, params, ...values } = (body ?? {}) as Partial<LookupRequest>;
  return {
    ...readValues(RED, values),
    references: mapValues(references ?? {}, (reference) => readValues(RED, reference)),
    params: params ?? {},
  };
}

function readValues(
  RED: NodeAPI,
  { id = '', config = {}, credentials = {} }: Partial<ConfigValues>,
): ConfigValues {
  const stored = (id ? RED.nodes.getCredentials(id) : undefined) as Record<string, string> | undefined;
  const secrets: Record<string, string> = { ...stored };
  for (const [name, value] of Object.entries(credentials)) {
    if (value !== STORED) secrets[name] = value;
  }
  return {
    id,
    config: mapValues(config, fromEnvironment),
    credentials: mapValues(secrets, fromEnvironment),
  };
}

/** `${NAME}` as a whole value means the environment variable, as everywhere in Node-RED. */
function fromEnvironment<T>(value: T): T | string {
  const name = typeof value === 'string' ? /^\$\{(\w+)\}$/.exec(value)?.[1] : undefined;
  return name === undefined ? value : (process.env[name] ?? '');
}

function mapValues<T, U>(object: Record<string, T>, map: (value: T) => U): Record<string, U> {
  return Object.fromEntries(Object.entries(object).map(([key, value]) => [key, map(value)]));
}
