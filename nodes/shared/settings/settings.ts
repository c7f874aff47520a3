import { FlowError } from '../errors';
import { holds, type ValueOf } from './conditions';
import type { FailureCode } from '../failure-codes';
import type { Fault } from './formats';
import { migrate, type Config, type Migrations, type Versioned } from './migrations';
import { fromEnvironment, variableIn, withOtherwise } from './variables';
import { called, labelOf, say, type Words } from '../say';

export type Kind =
  | 'text'
  | 'number'
  | 'duration'
  | 'durations'
  | 'size'
  | 'choice'
  | 'boolean'
  | 'list'
  | 'json'
  | 'field map'
  | 'headers'
  | 'node'
  | 'credential'
  | 'group';

/** What a declaration says of a setting beside its kind and its default. */
export interface Options<T> {
  /** To be filled in: always, or while a condition holds ("auth=file"). The editor asks for it. */
  required?: boolean | string;
  /** The property of a message that stands in for it. */
  msg?: string;
  /** The folded section of the form that it is in, by the name of its text. */
  section?: string;
  /** What is asked for in its place while the others are as they are; undefined: what the form always asks for. */
  asks?: (valueOf: ValueOf) => Asked | undefined;
  /** Where the node's secrets are sent: while it differs from what is deployed, a form has to bring them itself. */
  address?: boolean;
  /** What it means when it is left empty; unless told, its default. */
  empty?: T;
}

/** What stands in the place of a setting's label, and makes it required beyond its own condition. */
export interface Asked {
  label: Words;
  required?: boolean | string;
}

/** A setting of a node: T as the runtime works with it, F as it stands in a flow. Made in setting-kinds.ts. */
export interface Setting<T = unknown, F = unknown> extends Options<T> {
  readonly kind: Kind;
  /** Of a new node, and of a flow that leaves it out. The only place where it is written. */
  readonly default: F;
  /** It counts only while this condition holds. */
  readonly when?: string;
  /** Left out or empty it stays undefined, whatever a new node has. */
  readonly open?: boolean;
  /** Of a choice. */
  readonly values?: readonly string[];
  /** Of a choice: those of its values that are names, the same in every language. */
  readonly labels?: Readonly<Record<string, string>>;
  /** Of a node: the type of the config node that it refers to. */
  readonly type?: string;
  /** Of a group. */
  readonly fields?: Declared;
  /** Of a group: the labels of its fields are texts of all forms, behind this word. */
  readonly texts?: 'stream';
  /** Says what a value must be. */
  readonly fault?: Fault;
  /** Of a duration or a size, as people write it. */
  readonly limits?: { min?: string; max?: string };
  /** Reads a value that isn't empty. Throws FlowError naming the setting and what is allowed. */
  parse(value: unknown, title: string, valueOf: ValueOf, labels?: Labels): T;
  /** What is wrong with a value in a form. */
  check(value: unknown, valueOf: ValueOf): Fault | undefined;
}

/** A secret: the editor keeps it out of the flow. */
export interface Credential extends Setting<string | undefined, undefined> {
  readonly kind: 'credential';
  /** Anybody may see it who may change the flow. */
  readonly shown?: boolean;
}

export type Declared = Readonly<Record<string, Setting>>;
export type Parsed<S extends Declared> = { [K in keyof S]: ReturnType<S[K]['parse']> };
export type StoredFields<S extends Declared> = { [K in keyof S]: S[K]['default'] };

/** The settings of a node type, said once for the runtime, the editor and the reference. */
export interface NodeSettings<S extends Declared = Declared> extends Versioned {
  readonly settings: S;
}

/** As the runtime works with them: milliseconds, bytes, lists. */
export type Settings<D extends NodeSettings> = Parsed<D['settings']>;

/** As they stand in a flow; one written by hand may leave each of them out. */
export type Stored<D extends NodeSettings> = Partial<StoredFields<D['settings']>> & { version?: number };

export type SecretName<S extends Declared> = {
  [K in keyof S]: S[K] extends Credential ? K : never;
}[keyof S];
/** The secrets as Node-RED gives them to a node. */
export type Secrets<D extends NodeSettings> = Partial<Record<SecretName<D['settings']> & string, string>>;

/** What registerType wants to know of the secrets, in the runtime and in the editor. */
export function credentialsOf<D extends NodeSettings>({ settings }: D) {
  const own = Object.entries(settings).filter(([, { kind }]) => kind === 'credential');
  return Object.fromEntries(
    own.map(([name, setting]) => [name, { type: (setting as Credential).shown ? 'text' : 'password' }]),
  ) as Record<SecretName<D['settings']> & string, { type: 'text' | 'password' }>;
}

export function declare<S extends Declared>(
  type: string,
  version: number,
  settings: S,
  migrations: Migrations = {},
): NodeSettings<S> {
  return { type, version, settings, migrations };
}

/**
 * Reads a node's settings, whatever version of this pack has written them. `${NAME:-value}` is read here. Throws
 * FlowError naming the setting that is wrong.
 */
export function parseSettings<D extends NodeSettings>(declared: D, config: object): Settings<D> {
  return parseFields(declared.settings, migrate(declared, config as Config), labelsOf(declared));
}

/**
 * As parseSettings, of a node that runs: Node-RED has put values in the place of `${NAME}`, and left the name of a
 * variable that is not set, which is no value. Throws NO_ENVIRONMENT for that.
 */
export function parseDeployed<D extends NodeSettings>(declared: D, config: object): Settings<D> {
  const stored = migrate(declared, config as Config);
  const labels = labelsOf(declared);
  refuseUnset(declared.settings, stored, labels);
  return parseFields(declared.settings, stored, labels);
}

/** The secrets alone, read as parseDeployed reads them; `beside` is what else the node is set to. */
export function readSecrets<D extends NodeSettings>(
  declared: D,
  secrets: Secrets<D> = {},
  beside: object = {},
): Secrets<D> {
  const own = Object.fromEntries(
    Object.entries(declared.settings).filter(([, { kind }]) => kind === 'credential'),
  );
  const config = { ...beside, ...secrets };
  refuseUnset(own, config, labelsOf(declared));
  return parseFields(own, config, labelsOf(declared)) as Secrets<D>;
}

/** What the form calls each setting. */
export type Labels = (name: string) => string;

const labelsOf =
  ({ type }: NodeSettings): Labels =>
  (name) =>
    labelOf(type, name);

/** Of the fields of a group, which may have those of all forms. */
export const labelsWithin = ({ texts }: Pick<Setting, 'texts'>, labels?: Labels): Labels | undefined =>
  texts === undefined ? labels : (name) => labelOf(texts, name);

function titleOf(name: string, { asks }: Setting, labels: Labels, valueOf: ValueOf): string {
  const asked = asks?.(valueOf);
  return asked?.label ? called(asked.label) : labels(name);
}

/** Reads settings; errors name them by `labels`, else by their properties. */
export function parseFields<S extends Declared>(
  fields: S,
  config: object,
  labels: Labels = (name) => name,
): Parsed<S> {
  const stored = fromEnvironment(config) as Config;
  const valueOf = valuesOf(fields, stored);
  const parsed = Object.entries(fields).map(([name, setting]): [string, unknown] => {
    if (setting.when !== undefined && !holds(setting.when, valueOf)) return [name, undefined];
    const title = titleOf(name, setting, labels, valueOf);
    return [name, parseSetting(setting, stored[name], title, valueOf, labels)];
  });
  return Object.fromEntries(parsed) as Parsed<S>;
}

function refuseUnset(fields: Declared, config: object, labels: Labels): void {
  const stored = fromEnvironment(config) as Config;
  const valueOf = valuesOf(fields, stored);
  for (const [name, setting] of Object.entries(fields)) {
    if (setting.when !== undefined && !holds(setting.when, valueOf)) continue;
    const value = stored[name];
    if (setting.fields && typeof value === 'object' && value !== null)
      refuseUnset(setting.fields, value, labelsWithin(setting, labels) ?? labels);
    else refuseUnsetIn(value, setting, titleOf(name, setting, labels, valueOf));
  }
}

function refuseUnsetIn(value: unknown, { kind }: Setting, title: string): void {
  const name = variableIn(value);
  if (name === undefined) return;
  // A secret may only look like one; nobody chooses one that is written like the names of variables are.
  const shown =
    kind === 'credential' && !/^[A-Z][A-Z\d]*(_[A-Z\d]+)+$/.test(name) ? say`that it names` : name;
  throw new FlowError(
    'NO_ENVIRONMENT',
    say`${title}: the environment variable ${shown} is not set; set it where Node-RED starts, or in the flow or the subflow`,
    false,
  );
}

/** The settings for one message: properties of it stand in for those that say so. */
export function settingsFor<D extends NodeSettings>(
  declared: D,
  settings: Settings<D>,
  msg: object,
): Settings<D> {
  let own: Record<string, unknown> | undefined;
  for (const [name, setting, property] of overridable(declared)) {
    const given = (msg as Config)[property];
    if (given === undefined || given === null) continue;
    own ??= { ...settings };
    // What a message leaves empty is not the default: the node may be set to something else.
    own[name] =
      setting.open && isBlank(given) ? undefined : setting.parse(given, `msg.${property}`, () => undefined);
  }
  return (own as Settings<D> | undefined) ?? settings;
}

type Overridable = readonly [name: string, setting: Setting, property: string];

const overridables = new WeakMap<NodeSettings, readonly Overridable[]>();

/** The settings that a message may have another value for. Looked up once: this is asked with each message. */
function overridable(declared: NodeSettings): readonly Overridable[] {
  let found = overridables.get(declared);
  if (!found) {
    found = Object.entries(declared.settings).flatMap(([name, setting]): Overridable[] =>
      setting.msg === undefined ? [] : [[name, setting, setting.msg]],
    );
    overridables.set(declared, found);
  }
  return found;
}

export function parseSetting<T>(
  setting: Setting<T>,
  stored: unknown,
  title: string,
  valueOf: ValueOf = () => undefined,
  labels?: Labels,
): T {
  const left = stored === undefined || stored === null;
  if (setting.open && (left || isBlank(stored))) return undefined as T;
  const value = left ? setting.default : stored;
  if (!isBlank(value)) return setting.parse(value, title, valueOf, labels);
  return 'empty' in setting ? (setting.empty as T) : setting.parse(setting.default, title, valueOf, labels);
}

/** What is wrong with a value in a form, `required` included. An environment variable may turn out to be anything. */
export function faultOf(setting: Setting, stored: unknown, valueOf: ValueOf): Fault | undefined {
  if (setting.when !== undefined && !holds(setting.when, valueOf)) return undefined;
  const value = withOtherwise(stored)?.otherwise ?? stored ?? setting.default;
  const empty = isBlank(value) || (Array.isArray(value) && value.length === 0);
  if (empty && isRequired(setting, valueOf)) return { text: 'required' };
  if (isBlank(value)) return undefined;
  if (typeof value === 'string' && /^\$\{\w+\}$/.test(value.trim())) return undefined;
  return setting.check(value, valueOf);
}

/** What each of the fields says, or its default. */
export function valuesOf(fields: Declared, stored: Config): ValueOf {
  return (name) => {
    const value = stored[name];
    return value === undefined || value === null || isBlank(value) ? fields[name]?.default : value;
  };
}

export function isRequired({ required = false, asks }: Setting, valueOf: ValueOf): boolean {
  return [required, asks?.(valueOf)?.required ?? false].some((when) =>
    typeof when === 'string' ? holds(when, valueOf) : when,
  );
}

/** The sentence for a value that a setting can't have. */
export function wrong(code: FailureCode, title: string, value: unknown, is: string): FlowError {
  return new FlowError(code, `${title}: ${shown(value)} ${is}`, false);
}

/** A value as an error quotes it: a message may bring anything, of any length. */
function shown(value: unknown): string {
  if (typeof value === 'string')
    return JSON.stringify(value.length > 120 ? `${value.slice(0, 120)}…` : value);
  return typeof value === 'object' && value !== null ? say`an object` : String(value);
}

function isBlank(value: unknown): boolean {
  return typeof value === 'string' && value.trim() === '';
}
