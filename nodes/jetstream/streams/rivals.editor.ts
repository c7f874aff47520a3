import { formOf } from '../../shared/editor/form';
import { nodeText, text } from '../../shared/editor/text';
import { currentValue, type Validity } from '../../shared/editor/validity';
import { readStreamConfig } from './stream-config.editor';

/** Settings as they stand in the editor, of an open form or of a node. */
export type Shown = Record<string, unknown>;

/** Another node, as the form names it, and the settings in which it contradicts. */
export interface Rival {
  node: string;
  settings: string[];
}

/** What a node's form shows while it is open, else what is saved; a setting left out has its default. */
export function shownOf(node: EditorNode): Shown {
  const names = Object.keys(node._def.defaults);
  const shown = Object.fromEntries(
    names.map((name) => [name, currentValue(node, name) ?? node._def.defaults[name]?.value]),
  );
  const open = RED.editor.getEditStack().some(({ id }) => id === node.id);
  return open && $('#node-input-streamConfig-subjects').length > 0
    ? { ...shown, streamConfig: readStreamConfig(formOf(node)) }
    : shown;
}

/**
 * The first other node for which `conflicts` names settings; `demandOf` says what a node asks for. Settings that
 * can't be read are left to their validators.
 */
export function rivalOf<T>(
  node: EditorNode,
  demandOf: (node: EditorNode) => T | undefined,
  conflicts: (own: T, other: T) => string[],
): Rival | undefined {
  let found: Rival | undefined;
  const own = isDisabled(node) ? undefined : readable(() => demandOf(node));
  if (own === undefined) return undefined;
  RED.nodes.eachNode((other) => {
    if (other.id === node.id || isDisabled(other)) return true;
    const demand = readable(() => demandOf(other));
    const settings = demand === undefined ? [] : conflicts(own, demand);
    if (settings.length > 0) found = { node: `${other.type} ${other.name || other.id}`, settings };
    return settings.length === 0;
  });
  return found;
}

/** Whether two chosen jetstream-servers lead to the same system, as far as the editor can know. */
export function sameSystem(a: unknown, b: unknown): boolean {
  if (a === b) return typeof a === 'string' && a !== '';
  const [left, right] = [RED.nodes.node(String(a)), RED.nodes.node(String(b))];
  if (!left || !right) return false;
  const equal = (name: string) => (left[name] ?? '') === (right[name] ?? '');
  return (
    ['none', 'userpass'].includes(String(left['auth'])) && ['servers', 'domain', 'auth', 'user'].every(equal)
  );
}

type ConflictText = 'conflictDurable' | 'conflictStream';

function rivalText(key: ConflictText, { node, settings }: Rival): string {
  const label = (name: string) =>
    key === 'conflictStream'
      ? text(`stream_${name}` as 'stream_maxAge')
      : nodeText('jetstream-in', `label.${name}`);
  return text(key, { node, settings: settings.map(label).join(', ') });
}

/** Those there are, for the hints of a form. */
export function rivalTexts(rivals: Partial<Record<ConflictText, Rival | undefined>>): string[] {
  const found = Object.entries(rivals) as [ConflictText, Rival | undefined][];
  return found.flatMap(([key, rival]) => (rival ? rivalText(key, rival) : []));
}

/** True, or which rival there is; the editor shows it as HTML, and a node may have any name. */
export function rivalValidity(key: ConflictText, rival: Rival | undefined): Validity {
  return rival === undefined || $('<i>').text(rivalText(key, rival)).html();
}

/** A validator that says what `first` says, and what `then` does where that finds nothing wrong. */
export function andThen<T>(
  property: EditorProperty<T>,
  then: (node: EditorNode) => Validity,
): EditorProperty<T> {
  return {
    ...property,
    validate(this: EditorNode, value: unknown, opt?: { label?: string }) {
      const validity = property.validate?.call(this, value, opt) ?? true;
      return validity === true ? then(this) : validity;
    },
  };
}

/** Nodes like this one may be right, or wrong, once one of them has changed. */
export function validateTogether(concerned: (node: EditorNode) => boolean): void {
  let due: ReturnType<typeof setTimeout> | undefined;
  const validate = () => {
    due = undefined;
    let changed = false;
    RED.nodes.eachNode((node) => {
      if (!concerned(node)) return true;
      const before = node['valid'];
      if (RED.editor.validateNode(node) !== before) changed = true;
      return true;
    });
    if (changed) RED.view.redraw();
  };
  for (const event of ['nodes:add', 'nodes:change', 'nodes:remove'] as const)
    RED.events.on(event, (node) => {
      if (concerned(node)) due ??= setTimeout(validate);
    });
}

function isDisabled(node: EditorNode): boolean {
  return node['d'] === true || RED.nodes.workspace(String(node['z']))?.disabled === true;
}

function readable<T>(parse: () => T): T | undefined {
  try {
    return parse();
  } catch {
    return undefined;
  }
}
