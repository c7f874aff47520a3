import { mark, type Form } from '../../shared/editor/form';
import { type Choice } from '../../shared/editor/lookup';
import { picker } from '../../shared/editor/picker';
import { nameRow } from '../../shared/editor/rows';
import { sentence } from '../../shared/editor/settings';
import { nodeText, text } from '../../shared/editor/text';
import { declarationOf } from './catalog';
import { collectionFault, fullName } from '../api-source.settings';

/**
 * Fills the form's `.jetforce-collections` with a row for each collection. What is typed without its provider
 * ("Contact") is completed ("salesforce:contact"). Read them back with `readCollections`.
 */
export function collectionList(
  form: Form,
  collections: string[],
  choices: (typed: string) => Promise<Choice[]>,
): void {
  const list = $('<ol>').appendTo(form.root.find('.jetforce-collections'));
  list.editableList<{ collection?: string }>({
    height: 'auto',
    sortable: true,
    removable: true,
    addButton: text('addCollection'),
    addItem: (row, index, { collection = '' }) => {
      const input = $('<input type="text" class="jetforce-collection">')
        .attr({
          id: `jetforce-collection-${index}-${Date.now()}`,
          placeholder: exampleOf(form.text('provider')),
          'aria-label': nodeText('api-source', 'label.collections'),
        })
        .val(collection);
      row.addClass('jetforce-field').append(input);
      nameRow(row);
      picker(input, { choices: () => choices(String(input.val())) });
      input.on('change', () => {
        const full = fullName(form.text('provider'), String(input.val()));
        input.val(full);
        const fault = full === '' ? undefined : collectionFault(form.text('provider'), full);
        mark(input, fault === undefined || sentence('api-source', fault));
      });
    },
  });
  // Without any there is a row to type in.
  for (const collection of collections.length > 0 ? collections : [''])
    list.editableList('addItem', { collection });
  form.input('provider').on('change', () =>
    list
      .find('.jetforce-collection')
      .attr('placeholder', exampleOf(form.text('provider')))
      .trigger('change'),
  );
}

function exampleOf(provider: string): string {
  const { scope, collections = { contact: undefined } } = declarationOf(provider) ?? {};
  const [name = ''] = Object.keys(collections).slice(scope ? 1 : 0);
  return text('example', { value: [provider, ...(scope ? [scope.example] : []), name].join(':') });
}

/** What the rows say now; empty ones are left out. */
export function readCollections(form: Form): string[] {
  const inputs = form.root.find('.jetforce-collections .jetforce-collection');
  const typed = inputs.map((_, input) => fullName(form.text('provider'), String($(input).val())));
  return typed.get().filter((collection) => collection !== '');
}
