import { holds } from '../settings/conditions';
import { installStyle } from './style';
import { text } from './text';

/** An open form: its inputs by the name of the property. */
export interface Form {
  root: JQuery;
  input: (name: string) => JQuery;
  /** What an input shows: a text, or true or false for a box to tick. */
  value: (name: string) => string | boolean;
  text: (name: string) => string;
  /** Called at once and after every change in the form. */
  watch: (react: () => void) => void;
}

/** The open form; `openForm` must have been called when it opened. */
export function formOf(node: EditorNode): Form {
  const prefix = node._def.category === 'config' ? 'node-config-input' : 'node-input';
  const root = $(`#${prefix}-name`).closest('.jetforce-form');
  const input = (name: string) => $(`#${prefix}-${name}`);
  const value = (name: string) =>
    input(name).attr('type') === 'checkbox'
      ? Boolean(input(name).prop('checked'))
      : String(input(name).val() ?? '');
  return {
    root,
    input,
    value,
    text: (name) => String(value(name)).trim(),
    watch: (react) => {
      root.on('change input', () => react());
      react();
    },
  };
}

/** A setting of a node; a flow that was written by hand, or before the setting was there, has the default. */
export function setting<N extends EditorNode, K extends keyof N & string>(node: N, name: K): N[K] {
  return node[name] ?? (node._def.defaults[name]?.value as N[K]);
}

/**
 * Makes the form of a node work: shows the defaults of settings the node doesn't have yet; `data-when="auth=jwt|nkey provision"` on an element shows it only while all of these
 * hold (a name alone: the box is ticked; `!name`: it isn't), and a folded section with an error in it opens.
 */
export function openForm(node: EditorNode): Form {
  installStyle();
  const form = formOf(node);
  form.root
    .find('input[placeholder]:not([id*=streamConfig])')
    .each((_, input) => showAsExample(node, $(input)));
  for (const [name, { value, type, required }] of Object.entries(node._def.defaults)) {
    if (type !== undefined) {
      if (required && !node[name]) chooseOnly(node, form, name);
      continue;
    }
    suggest(form.input(name), value);
    if (node[name] !== undefined) continue;
    if (typeof value === 'boolean') form.input(name).prop('checked', value);
    else if (typeof value === 'string' || typeof value === 'number') form.input(name).val(value);
  }
  form.watch(() => {
    form.root.find('[data-when]').each((_, element) => {
      element.hidden = !holds(element.dataset['when'] ?? '', form.value);
    });
  });
  explainLabels(node, form);
  // The editor marks what is wrong right after oneditprepare, and after each change.
  const unfold = () => form.root.find('details').has('.input-error').prop('open', true);
  setTimeout(unfold);
  form.root.on('change', () => setTimeout(unfold));
  return form;
}

/** Where only one config node can be meant, it is: the editor itself would have it chosen each time. */
export function chooseOnly(node: EditorNode, form: Form, name: string): void {
  const found: string[] = [];
  RED.nodes.eachConfig(({ id, type, z, d }) => {
    const here = !z || z === RED.workspaces.active();
    if (type === node._def.defaults[name]?.type && here && d !== true) found.push(id);
    return true;
  });
  if (found.length === 1)
    form
      .input(name)
      .val(found[0] ?? '')
      .trigger('change');
}

/** What the html files have as examples must not look like values. */
function showAsExample(node: EditorNode, input: JQuery): void {
  const value = input.attr('placeholder') ?? '';
  if (value !== node._('label.name')) input.attr('placeholder', text('example', { value }));
}

/** A setting whose tip isn't in the form tells it when its label is pointed at. */
function explainLabels(node: EditorNode, form: Form): void {
  form.root.find('.form-row:not(:has(.jetforce-tip)) > label[for]').each((_, label) => {
    const key = `tip.${(label.getAttribute('for') ?? '').replace(/^node-(config-)?input-/, '')}`;
    const tip = node._(key);
    if (!tip.endsWith(key)) label.title = tip;
  });
}

/** Says in an input that is empty what counts then, where the form has no example. */
export function suggest(input: JQuery, value: unknown): void {
  if (input.attr('placeholder') || (typeof value !== 'string' && typeof value !== 'number')) return;
  if (value !== '' && input.is('input')) input.attr('placeholder', text('standard', { value }));
}

/** Marks an input that is no property of its own, which the editor therefore doesn't check: `validity` says what is wrong. */
export function mark(input: JQuery, validity: true | string): void {
  input.toggleClass('input-error', validity !== true).attr('title', validity === true ? '' : validity);
}

/** Shows sentences about settings that contradict each other in the form's `.jetforce-hints`. */
export function showHints(form: Form, hints: () => string[]): void {
  form.watch(() => {
    const items = hints().map((hint) =>
      $('<div class="form-tips jetforce-hint">')
        .text(hint)
        .prepend('<i class="fa fa-exclamation-triangle"></i>'),
    );
    form.root.find('.jetforce-hints').empty().append(items);
  });
}

/** A number, or the text as it is where it is none: an environment variable, or nothing. */
export function numberOf(typed: string): number | string {
  return typed !== '' && Number.isFinite(Number(typed)) ? Number(typed) : typed;
}

/** A row with its label, as the forms in the html files have them. */
export function row(label: string, icon: string, control: JQuery): JQuery {
  const id = control.attr('id') ?? '';
  return $('<div class="form-row">').append(
    $('<label>')
      .attr('for', id)
      .append($('<i>').addClass(`fa fa-${icon}`), ' ', $('<span>').text(label)),
    control,
  );
}

export function button(label: string, icon: string): JQuery {
  return $('<button type="button" class="red-ui-button">').append(
    $('<i>').addClass(`fa fa-${icon}`),
    ' ',
    $('<span>').text(label),
  );
}
