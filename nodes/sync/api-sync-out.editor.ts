import {
  checkStreamSettings,
  readStreamConfig,
  streamConfigRows,
  type StreamConfig,
} from '../jetstream/stream-config.editor';
import { parseDuration } from '../shared/duration';
import { formOf, openForm, setting, showHints, type Form } from '../shared/editor/form';
import { type Choice, configNode, lookup } from '../shared/editor/lookup';
import { picker } from '../shared/editor/picker';
import { nodeText, text } from '../shared/editor/text';
import {
  bucketName,
  duration,
  natsName,
  subject,
  validator,
  type Verdict,
} from '../shared/editor/validators';
import { syncOutHints } from './api-sync-out-hints';

const label = (property: string) => nodeText('api-sync-out', `label.${property}`);

interface Properties {
  name: string;
  server: string;
  source: string;
  subjectPrefix: string;
  stream: string;
  provision: boolean;
  streamConfig: StreamConfig;
  start: string;
  events: boolean;
  checkpoint: string;
  bucket: string;
  lease: string;
}

RED.nodes.registerType<Properties>('api-sync-out', {
  category: 'JetStream and Salesforce',
  paletteLabel: 'api sync out',
  color: '#c4b5e3',
  icon: 'api-sync-out.svg',
  defaults: {
    name: { value: '' },
    server: { value: '', type: 'jetstream-server', required: true, label: label('server') },
    source: { value: '', type: 'api-source', required: false, label: label('source') },
    subjectPrefix: {
      value: 'sequin-records',
      required: true,
      label: label('subjectPrefix'),
      validate: validator(subject),
    },
    stream: {
      value: 'SEQUIN-RECORDS',
      required: true,
      label: label('stream'),
      validate: validator(natsName),
    },
    provision: { value: true },
    streamConfig: {
      value: {
        subjects: [],
        maxAge: '',
        maxBytes: '',
        maxMsgs: '',
        maxMsgsPerSubject: 1,
        maxMsgSize: '',
        retention: 'limits',
        discard: 'old',
        storage: 'file',
        replicas: 1,
        duplicateWindow: '',
        denyDelete: false,
        denyPurge: false,
        allowRollup: false,
        compression: 'none',
      },
      validate: checkStreamSettings,
    },
    start: { value: 'beginning' },
    events: { value: false },
    checkpoint: { value: 'kv' },
    bucket: { value: 'api-sync', label: label('bucket'), validate: validator(bucketName) },
    lease: { value: '15s', label: label('lease'), validate: validator(notTooShort) },
  },
  inputs: 1,
  outputs: 1,
  label() {
    return this.name || setting(this, 'stream') || 'api-sync-out';
  },
  labelStyle() {
    return this.name ? 'node_label_italic' : '';
  },
  inputLabels: 'control',
  outputLabels: 'progress',
  oneditprepare() {
    // What a flow leaves out of them is as advised, not as the server would have it.
    const advised = this._def.defaults['streamConfig']?.value as StreamConfig;
    streamConfigRows($('#jetforce-stream-config'), { ...advised, ...setting(this, 'streamConfig') });
    const form = openForm(this);
    picker(form.input('stream'), {
      choices: () => {
        const server = configNode('jetstream-server', form.text('server'));
        if (!server) throw new Error(text('chooseServer'));
        return lookup<Choice[]>(server, 'streams');
      },
    });
    form.watch(() => {
      showSubjects(form);
      showSummaries(form);
    });
    showHints(form, () => syncOutHints(settingsOf(form)).map((key) => this._(`hint.${key}`)));
  },
  oneditsave() {
    this.streamConfig = readStreamConfig(formOf(this));
  },
});

function settingsOf(form: Form) {
  return {
    provision: form.value('provision') === true,
    streamConfig: readStreamConfig(form),
    subjectPrefix: form.text('subjectPrefix'),
    start: form.text('start'),
    checkpoint: form.text('checkpoint'),
  };
}

/** It is renewed three times in its length, and an answer of the server can take a second. */
function notTooShort(value: string): Verdict {
  const verdict = duration(value);
  if (verdict !== true) return verdict;
  return parseDuration(value) >= parseDuration('2s') || nodeText('api-sync-out', 'wrong.lease');
}

/** The subjects that records get, with what the chosen source says of them filled in. */
function showSubjects(form: Form): void {
  const source = configNode('api-source', form.text('source'))?.config ?? {};
  const [collection] = Array.isArray(source['collections']) ? (source['collections'] as unknown[]) : [];
  const record = [
    'default',
    known(source['syncId'], 'sync_id'),
    known(source['provider'], 'provider'),
    known(collection, 'collection_id'),
    { name: 'record_upstream_id' },
  ];
  const prefix = form.text('subjectPrefix');
  showTokens($('#jetforce-subject-preview'), [prefix, ...record]);
  showTokens($('#jetforce-events-preview'), [
    `${prefix}-events`,
    ...record,
    { name: 'insert|update|delete' },
  ]);
  form.input('streamConfig-subjects').attr('placeholder', `${prefix}.>`);
}

/** A token of a subject, or the name of what will stand there. */
type Token = string | { name: string };

/** As it is where the subject has it so; what is escaped there, or not known yet, by its name. */
function known(value: unknown, name: string): Token {
  return typeof value === 'string' && /^[\w:-]+$/.test(value) ? value : { name };
}

function showTokens(preview: JQuery, tokens: Token[]): void {
  preview.empty();
  tokens.forEach((token, i) => {
    if (i > 0) preview.append('.');
    preview.append(typeof token === 'string' ? document.createTextNode(token) : $('<var>').text(token.name));
  });
}

/** What each folded section holds, in its heading. */
function showSummaries(form: Form): void {
  const { subjects, retention, discard, maxAge, maxMsgsPerSubject } = readStreamConfig(form);
  const summary = (id: string, parts: (string | number)[]) =>
    $(`#jetforce-summary-${id}`).text(parts.filter((part) => part !== '').join(' · '));
  const perSubject =
    maxMsgsPerSubject === '' ? '' : `${text('stream_maxMsgsPerSubject')}: ${maxMsgsPerSubject}`;
  summary('stream', [subjects.join(', '), perSubject, retention, discard, maxAge]);
  const kv = form.text('checkpoint') === 'kv';
  const chosen = form.input('checkpoint').find('option:selected').text();
  summary('position', kv ? [chosen, form.text('bucket'), form.text('lease')] : [chosen]);
}
