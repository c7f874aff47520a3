import { button, type Form } from '../../shared/editor/form';
import { lookup, type ConfigSource } from '../../shared/editor/lookup';
import { readCollections } from './collections.editor';
import type { Tried } from './rest/lookups';

/** A button that fetches one page of a collection, and shows the request and what came of it. */
export function tryPages(node: EditorNode, form: Form, source: () => ConfigSource): void {
  const press = button(node._('label.try'), 'download');
  const select = $('<select class="jetforce-beside">').attr('aria-label', node._('label.collections'));
  const shown = $('<div class="jetforce-preview" role="status">').css('margin-top', '8px');
  form.root.find('#jetforce-try').empty().append(press, select, shown);

  form.watch(() => {
    const names = readCollections(form);
    const chosen = String(select.val() ?? '');
    select.empty().append(names.map((name) => $('<option>').val(name).text(name)));
    if (names.includes(chosen)) select.val(chosen);
    select.prop('hidden', names.length < 2);
  });
  const run = async () => {
    const collection = String(select.val() ?? '');
    if (collection === '') return say([node._('try.none')]);
    press.prop('disabled', true);
    try {
      say(inWords(node, await lookup<Tried>(source(), 'try', { collection })));
    } catch (error) {
      say([error instanceof Error ? error.message : String(error)], true);
    } finally {
      press.prop('disabled', false);
    }
  };
  const say = (lines: string[], wrong = false) => {
    shown
      .empty()
      .toggleClass('jetforce-error', wrong)
      .append(lines.map((line) => $('<div>').text(line)));
  };
  press.on('click', () => void run());
}

function inWords(node: EditorNode, { request, records, first, warnings }: Tried): string[] {
  const unknown = node._('try.noTime');
  const times = { created: first?.createdAt ?? unknown, updated: first?.updatedAt ?? unknown };
  return [
    request,
    node._('try.page', { count: records }),
    ...(first ? [node._('try.first', { id: first.id, ...times })] : []),
    ...warnings,
    ...(first ? [JSON.stringify(first.data).slice(0, 1_000)] : []),
  ];
}
