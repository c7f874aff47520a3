import { mark } from '../shared/editor/form';
import { text } from '../shared/editor/text';
import { template, type Verdict } from '../shared/editor/validators';

/** A header to publish with; its value is a template. */
export interface Header {
  name: string;
  value: string;
}

/** A list of headers in `container`, filled from `headers`. Read it back with `readHeaders`. */
export function headerList(container: JQuery, headers: Header[]): void {
  const list = $('<ol>').appendTo(container);
  list.editableList<Partial<Header>>({
    height: 'auto',
    sortable: true,
    removable: true,
    addButton: text('addHeader'),
    addItem: (row, _index, header) => {
      const input = (part: keyof Header, placeholder: string, check: (value: string) => Verdict) => {
        const field = $('<input type="text">')
          .addClass(`jetforce-header-${part}`)
          .attr('placeholder', placeholder);
        field.val(header[part] ?? '').on('change input', () => mark(field, check(String(field.val()))));
        return field;
      };
      row.addClass('jetforce-field').append(
        input('name', text('header'), (value) => value === '' || isName(value) || text('headerName')),
        input('value', '{{payload.id}}', template),
      );
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

/** What is wrong with the headers, for a node's `validate`. */
export function checkHeaders(this: EditorNode, headers: Header[] | undefined, _opt?: object): Verdict {
  if (headers === undefined) return true;
  if (!headers.every(({ name }) => isName(name))) return text('headerName');
  return headers.map(({ value }) => template(value)).find((verdict) => verdict !== true) ?? true;
}

/** What NATS takes as a header's name: visible ASCII without a colon. */
function isName(name: string): boolean {
  return /^[!-9;-~]+$/.test(name);
}
