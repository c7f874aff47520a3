import { mark, numberOf, row, type Form } from '../../shared/editor/form';
import { sentence } from '../../shared/editor/settings';
import { text } from '../../shared/editor/text';
import { listOf } from '../../shared/settings/formats';
import { faultOf, type Setting } from '../../shared/settings/settings';
import { streamSettings, type StoredStream } from './stream.settings';

type Name = keyof StoredStream;

const ICONS: Record<Name, string> = {
  subjects: 'tags',
  retention: 'archive',
  discard: 'trash-o',
  maxAge: 'clock-o',
  maxBytes: 'hdd-o',
  maxMsgs: 'list-ol',
  maxMsgsPerSubject: 'list-ul',
  maxMsgSize: 'envelope-o',
  duplicateWindow: 'clone',
  storage: 'database',
  replicas: 'server',
  compression: 'compress',
  denyDelete: 'lock',
  denyPurge: 'lock',
  allowRollup: 'history',
};

/** What an empty field means. */
const EMPTY: Partial<Record<Name, () => string>> = {
  subjects: () => text('example', { value: 'crm.>' }),
  maxAge: () => text('unlimited'),
  maxBytes: () => text('unlimited'),
  maxMsgs: () => text('unlimited'),
  maxMsgsPerSubject: () => text('unlimited'),
  maxMsgSize: () => text('asServer'),
  duplicateWindow: () => text('standard', { value: '2m' }),
};

const NAMES = Object.keys(ICONS) as Name[];

const idOf = (name: Name) => `node-input-streamConfig-${name}`;

/** Builds the rows in `container`, filled from `config`. Read them back with `readStreamConfig`. */
export function streamConfigRows(
  container: JQuery,
  config: Partial<StoredStream>,
  settings: Record<Name, Setting> = streamSettings,
): void {
  container.append(NAMES.flatMap((name) => rowOf(name, settings[name], config[name])));
}

function rowOf(name: Name, setting: Setting, value: unknown): JQuery[] {
  const { kind, values } = setting;
  const icon = ICONS[name];
  const label = text(`stream_${name}`);
  const tip = text(`stream_tip_${name}`);
  const shown = Array.isArray(value)
    ? value.join(', ')
    : typeof value === 'string' || typeof value === 'number'
      ? String(value)
      : '';
  if (kind === 'boolean') {
    const box = $('<input type="checkbox">')
      .attr('id', idOf(name))
      .prop('checked', value === true);
    const beside = $('<label>').attr('for', idOf(name)).text(label);
    return [$('<div class="form-row">').append(box, beside).attr('title', tip)];
  }
  if (values) {
    const options = values.map((option) =>
      $('<option>')
        .val(option)
        .text(text(`stream_${name}_${option}` as 'stream_retention_limits')),
    );
    const select = $('<select>')
      .attr('id', idOf(name))
      .append(options)
      .val(shown || String(setting.default));
    return [row(label, icon, select).attr('title', tip)];
  }
  const input = $('<input type="text">')
    .attr({ id: idOf(name), placeholder: EMPTY[name]?.() ?? '' })
    .toggleClass('jetforce-short', kind !== 'list')
    .val(shown);
  const verify = () => {
    const fault = faultOf(setting, String(input.val()), () => undefined);
    mark(input, fault === undefined || sentence('', fault));
  };
  input.on('change input', verify);
  verify();
  return [row(label, icon, input).attr('title', tip)];
}

/** What the rows say now. */
export function readStreamConfig(form: Form): StoredStream {
  const entries = NAMES.map((name): [Name, unknown] => {
    const shown = form.value(`streamConfig-${name}`);
    if (typeof shown === 'boolean') return [name, shown];
    if (name === 'subjects') return [name, listOf(shown)];
    return [name, streamSettings[name].kind === 'number' ? numberOf(shown.trim()) : shown.trim()];
  });
  return Object.fromEntries(entries) as unknown as StoredStream;
}
