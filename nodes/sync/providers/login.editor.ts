import type { Form } from '../../shared/editor/form';
import { inLanguage, text } from '../../shared/editor/text';
import { LABELS, PROVIDERS } from './catalog';
import { parseDeclaration } from './declared.editor';
import type { Declaration } from './rest/declaration';

const ENTRIES = ['user', 'account', 'token', 'secret', 'privateKey'] as const;
type EntryName = (typeof ENTRIES)[number];
/** Asked for by name only. */
const RARE: readonly string[] = ['account', 'privateKey'];
/** Where one's own API is, as an example. */
const OWN = 'https://api.example.com/v1';

/** The APIs to choose from; those that aren't named alike in every language have a text. */
export function fillProviders(node: EditorNode, form: Form, chosen: string): void {
  const options = PROVIDERS.map((name) =>
    $('<option>')
      .val(name)
      .text(LABELS[name] ?? node._(`provider.${name}`)),
  );
  form.input('provider').empty().append(options).val(chosen);
}

/** Shows what the chosen API wants to be let in with, as it calls it. */
export function showLogin(node: EditorNode, form: Form): void {
  const declaration = parseDeclaration(form);
  const { baseUrl, example = OWN, login } = declaration ?? {};
  form.input('baseUrl').attr('placeholder', baseUrl ?? text('example', { value: example }));
  $('#jetforce-public-address').prop('hidden', baseUrl === undefined);
  const rowOf = (name: EntryName) => form.input(name).closest('.form-row');
  inOrder(form, login, rowOf);
  for (const name of ENTRIES) {
    const row = rowOf(name);
    const entry = login?.[name];
    if (!entry && (login ?? RARE.includes(name))) row.prop('hidden', true);
    row.find('label > span').text(entry ? inLanguage(entry.label) : node._(`label.${name}`));
    const tip = entry ? (entry.tip === undefined ? '' : inLanguage(entry.tip)) : node._(`tip.${name}`);
    row
      .find('.jetforce-entry')
      .text(tip)
      .prop('hidden', tip === '');
  }
}

/** As the declaration has them. Nothing moves under somebody's hands: a row that is moved loses the focus. */
function inOrder(form: Form, login: Declaration['login'] = {}, rowOf: (name: EntryName) => JQuery): void {
  const told = Object.keys(login).filter((name) => ENTRIES.includes(name as EntryName)) as EntryName[];
  const wanted = [...told, ...ENTRIES.filter((name) => !told.includes(name))].flatMap((name) =>
    rowOf(name).get(),
  );
  const rows = form.root.find('.form-row').filter((_, row) => wanted.includes(row));
  if (wanted.every((row, i) => row === rows[i])) return;
  form.input('baseUrl').closest('.form-row').after(wanted);
}
