import { mark, type Form } from '../shared/editor/form';
import { type Choice } from '../shared/editor/lookup';
import { picker } from '../shared/editor/picker';
import { nodeText, text } from '../shared/editor/text';
import { type Verdict } from '../shared/editor/validators';

/**
 * Fills the form's `.jetforce-collections` with a row for each collection. What is typed without its provider
 * ("Contact") is completed ("salesforce:contact"). Read them back with `readCollections`.
 */
export function collectionList(form: Form, collections: string[], choices: () => Promise<Choice[]>): void {
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
          placeholder: 'salesforce:contact',
          'aria-label': nodeText('api-source', 'label.collections'),
        })
        .val(collection);
      row.addClass('jetforce-field').append(input);
      picker(input, { choices });
      input.on('change', () => {
        const full = completed(form.text('provider'), String(input.val()));
        input.val(full);
        mark(input, full === '' || faultOf(form.text('provider'), full));
      });
    },
  });
  for (const collection of collections) list.editableList('addItem', { collection });
  form.input('provider').on('change', () => list.find('.jetforce-collection').trigger('change'));
}

/** What the rows say now; empty ones are left out. */
export function readCollections(form: Form): string[] {
  const inputs = form.root.find('.jetforce-collections .jetforce-collection');
  const typed = inputs.map((_, input) => completed(form.text('provider'), String($(input).val())));
  return typed.get().filter((collection) => collection !== '');
}

/** Salesforce's names are the same in any case, but subjects are not. */
function completed(provider: string, typed: string): string {
  const collection = typed.trim();
  if (collection === '' || collection.startsWith('${')) return collection;
  const full = collection.includes(':') ? collection : `${provider}:${collection}`;
  return provider === 'salesforce' ? full.toLowerCase() : full;
}

/** True, or what is wrong with the name of a collection. */
export function faultOf(provider: string, collection: string): Verdict {
  if (collection.startsWith('${')) return true;
  const belongs = collection.startsWith(`${provider}:`) && collection.length > provider.length + 1;
  return belongs || nodeText('api-source', 'wrong.otherProvider');
}
