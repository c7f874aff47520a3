import { mark } from '../../shared/editor/form';
import { sentence } from '../../shared/editor/settings';
import { nameRow } from '../../shared/editor/rows';
import { text } from '../../shared/editor/text';
import { headerNameTemplate, template, type Format } from '../../shared/settings/formats';
import { type Header } from './headers';

/** A list of headers in `container`, filled from `headers`. Read it back with `readHeaders`. */
export function headerList(container: JQuery, headers: Header[]): void {
  const list = $('<ol>').appendTo(container);
  list.editableList<Partial<Header>>({
    height: 'auto',
    sortable: true,
    removable: true,
    addButton: text('addHeader'),
    addItem: (row, _index, header) => {
      const input = (part: keyof Header, example: string, label: string, format: Format) => {
        const field = $('<input type="text">')
          .addClass(`jetforce-header-${part}`)
          .attr({ placeholder: text('example', { value: example }), 'aria-label': label });
        const verify = () => {
          const typed = String(field.val());
          const fault = typed === '' ? undefined : format.check(typed);
          mark(field, fault === undefined || sentence('jetstream-out', fault));
        };
        field.val(header[part] ?? '').on('change input', verify);
        return field;
      };
      row
        .addClass('jetforce-field')
        .append(
          input('name', 'X-Source', text('header'), headerNameTemplate),
          input('value', '{{payload.id}}', text('value'), template),
        );
      nameRow(row);
    },
  });
  headers.forEach((header) => list.editableList('addItem', header));
}

/** What the list says now; rows without a name are left out. */
export function readHeaders(container: JQuery): Header[] {
  const rows = container.find('.red-ui-editableList-list').editableList('items');
  const headers = rows.map((_, row): Header => {
    const part = (name: keyof Header) => String($(row).find(`.jetforce-header-${name}`).val());
    return { name: part('name').trim(), value: part('value') };
  });
  return headers.get().filter(({ name }) => name !== '');
}
