import type { NodeAPI } from 'node-red';
import { unset } from './environment';
import { FlowError } from './errors';
import { Secrets } from './secrets';
import { credentialsOf, type NodeSettings } from './settings/settings';
import { variableOf, withOtherwise } from './settings/variables';
import { labelOf, say } from './say';

/** The values of a config node as they stand in the editor, saved or not. */
export interface ConfigValues {
  /** Its stored secrets stand in for those the form shows as dots. */
  id: string;
  config: Record<string, unknown>;
  credentials: Record<string, string>;
  /** Nothing differs from the node that is deployed under this id, its secrets included. */
  deployed: boolean;
}

/** What a form sends. */
export interface LookupRequest extends ConfigValues {
  /** The config nodes it refers to, by the name of the property, as they stand in the editor. */
  references: Record<string, ConfigValues>;
  /** What is looked for, e.g. {stream: "crm"}. */
  params: Record<string, string>;
  /** Aborts when nobody waits for the answer any more. */
  signal: AbortSignal;
}

/** What no answer shows: secrets, and what environment variables hold, which the form only names. */
export class Hidden {
  readonly secrets = new Secrets();
  private readonly variables = new Map<string, string>();

  fromEnvironment<T>(value: T): T | string {
    const { name, otherwise = '' } = withOtherwise(value) ?? { name: variableOf(value) };
    if (name === undefined) return value;
    const found = process.env[name];
    if (!found) return otherwise;
    // In an answer it may stand in parts: a host of several, without its scheme, in lower case.
    for (const part of [found, ...found.split(/[\s,;/@]+/)])
      if (part.length > 3) this.variables.set(part, `\${${name}}`);
    return found;
  }

  strike<T>(answer: T): T {
    const parts = [...this.variables].sort(([a], [b]) => b.length - a.length);
    if (parts.length === 0) return this.secrets.inValue(answer);
    const escaped = parts.map(([part]) => part.replace(/[.*+?^${}()|[\]\\/]/g, '\\$&'));
    const pattern = new RegExp(escaped.join('|'), 'gi');
    const names = new Map(parts.map(([part, name]) => [part.toLowerCase(), name]));
    const text = JSON.stringify(this.secrets.inValue(answer), (_name, each: unknown) =>
      typeof each === 'string' ? each.replace(pattern, (part) => names.get(part.toLowerCase()) ?? '') : each,
    );
    return JSON.parse(text) as T;
  }
}

/** What the editor puts in the place of a stored secret. */
const STORED = '__PWRD__';

type Found = Record<string, unknown>;

/** Checks what came and fills in what is stored. Throws FlowError BAD_REQUEST, WRONG_NODE, SECRET_NEEDED. */
export function readRequest(
  RED: NodeAPI,
  declared: NodeSettings,
  references: Record<string, NodeSettings>,
  body: unknown,
  hidden: Hidden,
): Omit<LookupRequest, 'signal'> {
  if (!isRecord(body)) throw malformed('body', say`a JSON object`);
  const { references: given = {}, params = {} } = body;
  if (!isRecord(given)) throw malformed('references', say`an object`);
  if (!areTexts(params)) throw malformed('params', say`an object of texts`);
  const named = Object.entries(references).filter(([name]) => given[name] !== undefined);
  return {
    ...readValues(RED, declared, body, hidden),
    references: Object.fromEntries(
      named.map(([name, each]) => [name, readValues(RED, each, given[name], hidden)]),
    ),
    params,
  };
}

function readValues(RED: NodeAPI, declared: NodeSettings, given: unknown, hidden: Hidden): ConfigValues {
  if (!isRecord(given)) throw malformed('reference', say`an object`);
  const { id = '', config = {}, credentials = {} } = given;
  if (typeof id !== 'string') throw malformed('id', say`a text`);
  if (!isRecord(config)) throw malformed('config', say`an object`);
  if (!areTexts(credentials)) throw malformed('credentials', say`an object of texts`);
  const names = Object.keys(credentialsOf(declared));
  const own = Object.fromEntries(
    Object.entries(credentials).filter(([name, value]) => names.includes(name) && value !== STORED),
  );
  const node = deployedNode(RED, declared, id);
  const stored = node ? storedSecrets(RED, id, names) : {};
  const missing = Object.keys(stored).filter((name) => !(name in own));
  const moved = node ? addressesThatDiffer(declared, config, node) : [];
  if (moved.length > 0 && missing.length > 0 && config.auth !== 'none')
    throw secretNeeded(declared, moved, missing);

  const secrets = moved.length > 0 ? own : { ...stored, ...own };
  const values = {
    config: resolved(declared, config, hidden),
    credentials: mapValues(secrets, (value) => hidden.fromEnvironment(value)),
  };
  hidden.secrets.add(...Object.values(secrets), ...Object.values(values.credentials));
  const changed = Object.keys(declared.settings).some((name) => differs(declared, name, config, node ?? {}));
  const renewed = Object.entries(own).some(([name, value]) => value !== (stored[name] ?? ''));
  return { id, ...values, deployed: node !== undefined && !changed && !renewed };
}

/** With values in the place of environment variables. Throws NO_ENVIRONMENT for an address without one. */
function resolved({ type, settings }: NodeSettings, config: Found, hidden: Hidden): Found {
  const values = mapValues(config, (value) => hidden.fromEnvironment(value));
  for (const [name, value] of Object.entries(values)) {
    const variable = settings[name]?.address && value === '' ? variableOf(config[name]) : undefined;
    if (variable !== undefined) throw unset(type, name, variable);
  }
  return values;
}

/** As it stands in the flow, with the names of environment variables; undefined where it isn't deployed yet. */
function deployedNode(RED: NodeAPI, { type }: NodeSettings, id: string): Found | undefined {
  let found: Found | undefined;
  RED.nodes.eachNode((node) => {
    if (node.id === id) found = node as unknown as Found;
  });
  if (found && found.type !== type)
    throw new FlowError('WRONG_NODE', say`The node ${id} is no ${type}: reload the editor`, false);
  return found;
}

function storedSecrets(RED: NodeAPI, id: string, names: string[]): Record<string, string> {
  const found = (RED.nodes.getCredentials(id) ?? {}) as Found;
  return Object.fromEntries(
    names.flatMap((name) => {
      const value = found[name];
      return typeof value === 'string' && value !== '' ? [[name, value]] : [];
    }),
  );
}

function addressesThatDiffer(declared: NodeSettings, config: Found, node: Found): string[] {
  const addresses = Object.keys(declared.settings).filter((name) => declared.settings[name]?.address);
  return addresses.filter((name) => differs(declared, name, config, node));
}

function differs({ settings }: NodeSettings, name: string, config: Found, node: Found): boolean {
  const standard = settings[name]?.default;
  return textOf(config[name] ?? standard) !== textOf(node[name] ?? standard);
}

function secretNeeded({ type }: NodeSettings, moved: string[], missing: string[]): FlowError {
  const labels = (names: string[]) => names.map((name) => labelOf(type, name)).join(', ');
  return new FlowError(
    'SECRET_NEEDED',
    say`The address (${labels(moved)}) is not the one that is deployed, and stored secrets are sent to no other: enter the secret again (${labels(missing)}), or deploy first`,
    false,
  );
}

function textOf(value: unknown): string {
  // A number that a form has made a text is no change.
  return typeof value === 'string' ? value.trim() : (JSON.stringify(value) ?? '');
}

function malformed(what: string, wanted: string): FlowError {
  return new FlowError('BAD_REQUEST', say`The request's ${what} is not ${wanted}`, false);
}

function isRecord(value: unknown): value is Found {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function areTexts(value: unknown): value is Record<string, string> {
  return isRecord(value) && Object.values(value).every((each) => typeof each === 'string');
}

function mapValues<T, U>(object: Record<string, T>, map: (value: T) => U): Record<string, U> {
  return Object.fromEntries(Object.entries(object).map(([key, value]) => [key, map(value)]));
}
