import { currentValue, type Validity } from './validity';
import { inLanguage, nodeText, text } from './text';
import { valuesOf, isRequired, type Credential, type NodeSettings, type Setting } from '../settings/settings';

/** What the editor knows of a node's secrets; `has_password` where the runtime holds one that it keeps to itself. */
type Known = Record<string, unknown>;

/** What the runtime holds for nodes whose form has not been open yet. */
const held = new WeakMap<EditorNode, Known>();

/** The `credentials` of a node type: each with its validator, so that its field is marked where it is empty. */
export function credentialsFor(declared: NodeSettings): Record<string, EditorCredential> {
  return Object.fromEntries(
    secrets(declared).map(([name, secret]) => {
      const { shown } = secret;
      const credential: EditorCredential = {
        type: shown ? 'text' : 'password',
        label: nodeText(declared.type, `label.${name}`),
      };
      if (mayBeRequired(secret))
        credential.validate = function (value: unknown, _opt?: object) {
          return !isMissing(declared, this, name, value) || missing(declared, this, name);
        };
      return [name, credential];
    }),
  );
}

/** The secrets that the node needs and has not, each in a sentence. */
export function missingSecrets(declared: NodeSettings, node: EditorNode): Validity | string[] {
  const known = node.credentials ?? held.get(node);
  // The runtime has not been asked yet: the node is validated again when it answers.
  if (known === undefined) return true;
  const found = secrets(declared)
    .filter(([name]) => isMissing(declared, node, name, currentValue(node, name) ?? known[name], known))
    .map(([name]) => missing(declared, node, name));
  return found.length === 0 || found;
}

/** Asks the runtime, for each node that is loaded or imported, whether it holds the secrets. */
export function keepSecretsInMind(declared: NodeSettings): void {
  if (!secrets(declared).some(([, secret]) => mayBeRequired(secret))) return;
  RED.events.on('nodes:add', (node) => {
    if (node.type !== declared.type || node.credentials) return;
    $.getJSON(`credentials/${declared.type}/${node.id}`, (answer: Known) => {
      held.set(node, answer);
      validateWithUsers(node);
      RED.view.redraw();
    });
  });
}

function validateWithUsers(node: EditorNode): void {
  const before = node['valid'];
  if (RED.editor.validateNode(node) === before) return;
  node.users?.forEach(validateWithUsers);
}

function secrets({ settings }: NodeSettings): [string, Credential][] {
  return Object.entries(settings).filter((entry): entry is [string, Credential] => isCredential(entry[1]));
}

function isCredential(setting: Setting): setting is Credential {
  return setting.kind === 'credential';
}

function isMissing(
  { settings }: NodeSettings,
  node: EditorNode,
  name: string,
  value: unknown,
  known: Known = {},
): boolean {
  // Of a secret that the runtime keeps, nobody knows more than that it is there.
  const kept = (other: string) => (known[`has_${other}`] === true ? '•' : undefined);
  const valueOf = (other: string) =>
    valuesOf(settings, { [other]: currentValue(node, other) ?? known[other] ?? kept(other) })(other);
  const found = value ?? kept(name);
  const there = typeof found === 'string' && found.trim() !== '';
  return !there && isRequired(settings[name] as Setting, valueOf);
}

const mayBeRequired = ({ required, asks }: Setting): boolean => required !== undefined || asks !== undefined;

/** What the form calls a setting while the others are as they are. */
export function labelNow({ type, settings }: NodeSettings, node: EditorNode, name: string): string {
  const valueOf = (other: string) => valuesOf(settings, { [other]: currentValue(node, other) })(other);
  const asked = settings[name]?.asks?.(valueOf);
  return asked?.label ? inLanguage(asked.label) : nodeText(type, `label.${name}`);
}

const missing = (declared: NodeSettings, node: EditorNode, name: string) =>
  `${labelNow(declared, node, name)}: ${text('required')}`;
