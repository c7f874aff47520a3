import { type Form } from './form';
import { text } from './text';

export interface Choice {
  value: string;
  label?: string;
  /** To be filled in by whoever makes a record. */
  needed?: boolean;
}

/** What the runtime answered instead; `message` is a sentence for the form. */
export class LookupError extends Error {
  constructor(
    readonly code: string,
    message: string,
  ) {
    super(message);
  }
}

/** A config node as the runtime is to try it: with the values of the editor, deployed or not. */
export interface ConfigSource {
  type: string;
  id: string;
  config: Record<string, unknown>;
  credentials: Record<string, unknown>;
  /** The config nodes that it refers to, by the name of the property. */
  references: Record<string, ConfigSource>;
}

const SECONDS = 30;

/**
 * Asks the runtime to look something up or to test a connection (nodes/shared/admin.ts answers). Rejects with an
 * Error whose message is a sentence for the form.
 */
export async function lookup<T>(
  source: ConfigSource,
  action: string,
  params: Record<string, string> = {},
): Promise<T> {
  const { type, ...body } = source;
  const answer = await new Promise<
    { ok: true; data: T } | { ok: false; error: { code: string; message: string } }
  >((resolve, reject) => {
    // $.ajax and not fetch: the editor adds its own login to every request made this way.
    $.ajax({
      url: `jetforce/${type}/${action}`,
      type: 'POST',
      contentType: 'application/json',
      dataType: 'json',
      timeout: SECONDS * 1000,
      headers: { 'accept-language': RED.i18n.lang() },
      data: JSON.stringify({ ...body, params }),
      success: resolve,
      error: (request, status) => reject(new Error(explain(request.status, status))),
    });
  });
  if (!answer.ok) throw new LookupError(answer.error.code, answer.error.message);
  return answer.data;
}

function explain(status: number, why: string): string {
  if (why === 'timeout' || status === 0) return text('noAnswer', { seconds: SECONDS });
  if (status === 401 || status === 403) return text('notAllowed');
  if (status === 404) return text('notThere');
  return text('failed', { status });
}

/** The config node chosen in a form, with changes that are not deployed yet; undefined where none is chosen. */
export function configNode(type: string, id: string): ConfigSource | undefined {
  const node = RED.nodes.node(id);
  if (node?.type !== type) return undefined;
  return configSource(node, (name) => node[name] ?? node.credentials?.[name]);
}

/** The config node whose form is open, with what the form shows now. */
export function openConfig(node: EditorNode, form: Form): ConfigSource {
  return configSource(node, (name) => (form.input(name).length > 0 ? form.value(name) : node[name]));
}

function configSource(node: EditorNode, value: (name: string) => unknown): ConfigSource {
  const { defaults, credentials = {} } = node._def;
  const references: Record<string, ConfigSource> = {};
  for (const [name, { type }] of Object.entries(defaults)) {
    const reference = type === undefined ? undefined : configNode(type, String(value(name)));
    if (reference) references[name] = reference;
  }
  return {
    type: node.type,
    id: node.id,
    config: pick(Object.keys(defaults), value),
    credentials: pick(Object.keys(credentials), value),
    references,
  };
}

function pick(names: string[], value: (name: string) => unknown): Record<string, unknown> {
  return Object.fromEntries(
    names.map((name): [string, unknown] => [name, value(name)]).filter(([, found]) => found !== undefined),
  );
}
