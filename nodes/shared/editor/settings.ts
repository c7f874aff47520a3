import { migrate, type Config } from '../settings/migrations';
import type { ValueOf } from '../settings/conditions';
import type { Fault } from '../settings/formats';
import {
  faultOf,
  isRequired,
  valuesOf,
  type NodeSettings,
  type SecretName,
  type Setting,
} from '../settings/settings';
import { keepSecretsInMind, labelNow, missingSecrets } from './credentials';
import { numberOf, type Form } from './form';
import { nodeText, text } from './text';
import { currentValue, type Validity } from './validity';

type PropertyName<D extends NodeSettings> = Exclude<keyof D['settings'], SecretName<D['settings']>>;

/** What the editor knows of a node type's settings. */
export type Defaults<D extends NodeSettings> = {
  [K in PropertyName<D>]: EditorProperty<D['settings'][K]['default']>;
} & { version: EditorProperty<number> };

/** The `defaults` of a node type: each setting with its default and its validator, and the version. */
export function defaultsOf<D extends NodeSettings>(declared: D): Defaults<D> {
  const { type, version, settings } = declared;
  const properties = Object.entries(settings)
    .filter(([, { kind }]) => kind !== 'credential')
    .map(([name, setting]) => [name, propertyOf(declared, name, setting)] as const);
  return {
    ...Object.fromEntries(properties),
    // The editor checks no secrets while the form is closed; this property has no field of its own to be marked.
    version: {
      value: version,
      validate(this: EditorNode, found: unknown, _opt?: object) {
        const known = knows(type, version, found);
        return known === true ? missingSecrets(declared, this) : known;
      },
    },
  } as unknown as Defaults<D>;
}

function propertyOf(declared: NodeSettings, name: string, setting: Setting): EditorProperty<unknown> {
  const { type } = declared;
  const { kind, required } = setting;
  const property: EditorProperty<unknown> = { value: setting.default };
  // A setting of several parts has sentences that name theirs.
  if (typeof setting.default !== 'object') property.label = nodeText(type, `label.${name}`);
  if (setting.type !== undefined) property.type = setting.type;
  if (kind === 'node' && typeof required !== 'string') return { ...property, required: required === true };
  if (required === true && setting.when === undefined && typeof setting.default !== 'object')
    property.required = true;
  property.validate = function (this: EditorNode, value: unknown, opt?: { label?: string }): Validity {
    const valueOf: ValueOf = (other) => shownValue(declared, this, other);
    if (kind === 'node') return !isRequired(setting, valueOf) || configValidity(value, opt?.label);
    const fault = faultOf(setting, value, valueOf);
    const label = setting.asks ? labelNow(declared, this, name) : opt?.label;
    return fault === undefined || sentence(type, fault, partLabel(type, setting, fault) ?? label);
  };
  return property;
}

/** The value of another setting, as its form or the saved node has it. */
function shownValue({ settings }: NodeSettings, node: EditorNode, name: string): unknown {
  return valuesOf(settings, { [name]: currentValue(node, name) })(name);
}

function configValidity(id: unknown, label: string | undefined): Validity {
  const config = RED.nodes.node(typeof id === 'string' ? id : '');
  if (config && config['valid'] !== false) return true;
  const fault = config ? text('configWrong') : text('required');
  return label ? `${label}: ${fault}` : fault;
}

function partLabel(type: string, { texts }: Setting, { part }: Fault): string | undefined {
  if (part === undefined) return undefined;
  return texts === undefined ? nodeText(type, `label.${part}`) : text(`stream_${part}` as 'stream_subjects');
}

/** What the editor says of a fault; behind the label of the setting, if there is one. */
export function sentence(type: string, { text: key, values }: Fault, label?: string): string {
  const said = key.startsWith('wrong.') ? nodeText(type, key) : text(key as 'required', values);
  return label ? `${label}: ${said}` : said;
}

function knows(type: string, version: number, found: unknown): Validity {
  return !(Number(found ?? 0) > version) || text('newerVersion', { type });
}

/** Numbers are saved as numbers: the editor itself would save what an input holds, a text. */
export function saveNumbers(node: Record<string, unknown>, form: Form, { settings }: NodeSettings): void {
  for (const [name, { kind }] of Object.entries(settings))
    if (kind === 'number') node[name] = numberOf(form.text(name));
}

/**
 * Brings nodes of older versions to the present one when they are imported or loaded, before a form or a validator
 * sees them. What is of a newer one stays as it is; its validator says so.
 */
export function keepUpToDate(declared: NodeSettings): void {
  keepSecretsInMind(declared);
  RED.events.on('nodes:add', (node) => {
    if (node.type !== declared.type) return;
    const version = node['version'] ?? 0;
    if (version === declared.version || knows(declared.type, declared.version, version) !== true) return;
    Object.assign(node, migrate(declared, propertiesOf(node)), { version: declared.version });
  });
}

function propertiesOf(node: EditorNode): Config {
  const names = Object.keys(node._def.defaults).filter((name) => node[name] !== undefined);
  return Object.fromEntries(names.map((name) => [name, node[name]]));
}
