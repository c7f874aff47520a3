import { text } from './text';

/** Names what the editor leaves without a name in a row of its editable list, for those who hear the form. */
export function nameRow(row: JQuery): void {
  // The row gets its button when it has been filled.
  queueMicrotask(() => {
    row.closest('li').find('.red-ui-editableList-item-remove').attr('aria-label', text('secretClear'));
    row.find('.red-ui-typedInput-input').attr('aria-label', text('value'));
  });
}
