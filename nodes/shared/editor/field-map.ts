import { template } from '../settings/formats';
import { type FieldType, type PayloadConfig, type PayloadField } from '../payload';
import { mark, type Form } from './form';
import { type Choice } from './lookup';
import { picker } from './picker';
import { nameRow } from './rows';
import { text } from './text';

const TYPES: (FieldType | TypedInputType)[] = [
  'msg',
  {
    value: 'template',
    label: '{{ }}',
    icon: 'fa fa-code',
    validate: (value) => template.check(value) === undefined,
  },
  'str',
  'num',
  'bool',
  'json',
  'jsonata',
  'flow',
  'global',
  'env',
];

/**
 * Fills the form's choice between the event and a map (`payloadMode`, a select) and the map's rows in its
 * `.jetforce-fields`. Read them back with `readPayload`. `names` looks up what fields there are; `example` is one.
 */
export function payloadRows(
  form: Form,
  payload: PayloadConfig,
  names: () => Promise<Choice[]>,
  example: string,
): void {
  form.input('payloadMode').val(payload.mode).trigger('change');
  const list = $('<ol>').appendTo(form.root.find('.jetforce-fields'));
  list.editableList<Partial<PayloadField>>({
    header: $('<div class="jetforce-fields-header">').append(
      $('<span>').text(text('field')),
      $('<span>').text(text('value')),
    ),
    height: 'auto',
    sortable: true,
    removable: true,
    addButton: text('addField'),
    addItem: (row, index, { name = '', type = 'msg', value = type === 'msg' ? 'payload.' : '' }) => {
      const field = $('<input type="text" class="jetforce-field-name">')
        .attr({
          id: `jetforce-field-${index}-${Date.now()}`,
          placeholder: text('example', { value: example }),
        })
        .attr('aria-label', text('field'))
        .val(name);
      const typed = $('<input type="text" class="jetforce-field-value">').val(value);
      row.addClass('jetforce-field').append(field, typed);
      picker(field, { choices: names });
      typed.typedInput({ types: TYPES, default: type }).typedInput('type', type);
      nameRow(row);
      field.on('change input', () => mark(field, field.val() === '' ? text('fieldName') : true));
    },
  });
  if (payload.mode === 'map') payload.fields.forEach((field) => list.editableList('addItem', field));
}

/** What the form says now. */
export function readPayload(form: Form): PayloadConfig {
  if (form.text('payloadMode') !== 'map') return { mode: 'event' };
  const rows = form.root.find('.jetforce-fields .red-ui-editableList-list').editableList('items');
  const fields = rows.map((_, row): PayloadField => {
    const typed = $(row).find('.jetforce-field-value');
    return {
      name: String($(row).find('.jetforce-field-name').val()).trim(),
      type: typed.typedInput('type') as FieldType,
      value: typed.typedInput('value'),
    };
  });
  return { mode: 'map', fields: fields.get() };
}
