import { listOf, mark, numberOf, row, setting, type Form } from '../shared/editor/form';
import { text } from '../shared/editor/text';
import { duration, filters, size, validator, whole, type Verdict } from '../shared/editor/validators';

/** The settings of a stream to create or update. Durations and sizes as typed ("1h", "2GiB"); empty: the server's default. */
export interface StreamConfig {
  subjects: string[];
  maxAge: string;
  maxBytes: string;
  maxMsgs: number | string;
  maxMsgsPerSubject: number | string;
  maxMsgSize: string;
  retention: string;
  discard: string;
  storage: string;
  replicas: number | string;
  duplicateWindow: string;
  denyDelete: boolean;
  denyPurge: boolean;
  allowRollup: boolean;
  compression: string;
}

type Name = keyof StreamConfig;
type Field = { name: Name; icon: string; placeholder?: string; number?: true; short?: true } & (
  { check: (value: string) => Verdict } | { options: string[] } | { tick: true }
);

const FIELDS: Field[] = [
  { name: 'subjects', icon: 'tags', placeholder: 'crm.>', check: filters },
  { name: 'retention', icon: 'archive', options: ['limits', 'interest', 'workqueue'] },
  { name: 'discard', icon: 'trash-o', options: ['old', 'new'] },
  { name: 'maxAge', icon: 'clock-o', placeholder: '1h', short: true, check: duration },
  { name: 'maxBytes', icon: 'hdd-o', placeholder: '2GiB', short: true, check: size },
  { name: 'maxMsgs', icon: 'list-ol', number: true, short: true, check: whole(-1) },
  { name: 'maxMsgsPerSubject', icon: 'list-ul', number: true, short: true, check: whole(-1) },
  { name: 'maxMsgSize', icon: 'envelope-o', placeholder: '1MiB', short: true, check: size },
  { name: 'duplicateWindow', icon: 'clone', placeholder: '2m', short: true, check: duration },
  { name: 'storage', icon: 'database', options: ['file', 'memory'] },
  { name: 'replicas', icon: 'server', number: true, short: true, check: whole(1, 5) },
  { name: 'compression', icon: 'compress', options: ['none', 's2'] },
  { name: 'denyDelete', icon: 'lock', tick: true },
  { name: 'denyPurge', icon: 'lock', tick: true },
  { name: 'allowRollup', icon: 'history', tick: true },
];

const idOf = (name: Name) => `node-input-streamConfig-${name}`;

/** Builds the rows in `container`, filled from `config`. Read them back with `readStreamConfig`. */
export function streamConfigRows(container: JQuery, config: Partial<StreamConfig>): void {
  container.append(FIELDS.flatMap((field) => rowOf(field, config[field.name])));
}

function rowOf(field: Field, value: unknown): JQuery[] {
  const { name, icon, placeholder = '', short = false } = field;
  const label = text(`stream_${name}`);
  const shown = Array.isArray(value)
    ? value.join(', ')
    : typeof value === 'string' || typeof value === 'number'
      ? String(value)
      : '';
  if ('tick' in field) {
    const box = $('<input type="checkbox">')
      .attr('id', idOf(name))
      .prop('checked', value === true);
    return [$('<div class="form-row">').append(box, $('<label>').attr('for', idOf(name)).text(label))];
  }
  if ('options' in field) {
    const options = field.options.map((option) =>
      $('<option>')
        .val(option)
        .text(text(`stream_${name}_${option}` as 'stream_retention_limits')),
    );
    return [
      row(
        label,
        icon,
        $('<select>')
          .attr('id', idOf(name))
          .append(options)
          .val(shown || (field.options[0] ?? '')),
      ),
    ];
  }
  const input = $('<input type="text">')
    .attr({ id: idOf(name), placeholder })
    .toggleClass('jetforce-short', short)
    .val(shown);
  const check = validator(field.check);
  const verify = () => mark(input, check.call(undefined as never, String(input.val())));
  input.on('change input', verify);
  verify();
  return [row(label, icon, input)];
}

/** What the rows say now. */
export function readStreamConfig(form: Form): StreamConfig {
  const entries = FIELDS.map((field): [Name, unknown] => {
    const shown = form.value(`streamConfig-${field.name}`);
    if (typeof shown === 'boolean') return [field.name, shown];
    if (field.name === 'subjects') return [field.name, listOf(shown)];
    return [field.name, field.number ? numberOf(shown.trim()) : shown.trim()];
  });
  return Object.fromEntries(entries) as unknown as StreamConfig;
}

/** What is wrong with the settings, for a node's `validate`: they count only while `provision` is on. */
export function checkStreamConfig(
  this: EditorNode,
  config: Partial<StreamConfig> | undefined,
  _opt?: object,
): Verdict {
  const verdict = checkStreamSettings.call(this, config);
  if (verdict !== true || setting(this, 'provision') !== true) return verdict;
  return (config?.subjects ?? []).length > 0 || `${text('stream_subjects')}: ${text('required')}`;
}

/** The same where the node itself knows the subjects. */
export function checkStreamSettings(
  this: EditorNode,
  config: Partial<StreamConfig> | undefined,
  _opt?: object,
): Verdict {
  if (setting(this, 'provision') !== true) return true;
  for (const field of FIELDS) {
    if (!('check' in field)) continue;
    const value = config?.[field.name];
    const verdict = validator(field.check).call(this, Array.isArray(value) ? value.join(',') : value, {
      label: text(`stream_${field.name}`),
    });
    if (verdict !== true) return verdict;
  }
  return true;
}
