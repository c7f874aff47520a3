import { andThen, validateTogether, rivalTexts, rivalValidity } from '../jetstream/streams/rivals.editor';
import { readStreamConfig, streamConfigRows } from '../jetstream/streams/stream-config.editor';
import { showStreamPlan } from '../jetstream/streams/stream-plan.editor';
import { demandOf, provisions, streamRival } from '../jetstream/streams/stream-rivals.editor';
import { parseFields } from '../shared/settings/settings';
import { formOf, openForm, setting, showHints, type Form } from '../shared/editor/form';
import { type Choice, configNode, lookup } from '../shared/editor/lookup';
import { paletteLabel } from '../shared/editor/palette';
import { picker } from '../shared/editor/picker';
import { defaultsOf, keepUpToDate } from '../shared/editor/settings';
import { text } from '../shared/editor/text';
import { syncOutHints } from './engine/hints';
import { apiSyncOut, recordStream, recordStreamOf } from './api-sync-out.settings';

const defaults = defaultsOf(apiSyncOut);

RED.nodes.registerType('api-sync-out', {
  category: 'JetStream and Salesforce',
  paletteLabel: paletteLabel('api-sync-out', 'api sync out'),
  color: '#c4b5e3',
  icon: 'api-sync-out.svg',
  defaults: {
    ...defaults,
    stream: andThen(defaults.stream, (node) => rivalValidity('conflictStream', streamRival(node))),
  },
  inputs: 1,
  outputs: 1,
  label() {
    return this.name || setting(this, 'stream') || 'api sync out';
  },
  labelStyle() {
    return this.name ? 'node_label_italic' : '';
  },
  inputLabels() {
    return this._('port.control');
  },
  outputLabels() {
    return this._('port.progress');
  },
  streamDemand() {
    return demandOf(this, ({ streamConfig, subjectPrefix }) =>
      recordStreamOf(parseFields(recordStream, streamConfig as object), String(subjectPrefix)),
    );
  },
  oneditprepare() {
    // What a flow leaves out of them is as advised, not as the server would have it.
    const advised = apiSyncOut.settings.streamConfig.default;
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
    showStreamPlan(form, $('#jetforce-stream-plan'), () => {
      const config = { ...advised, ...readStreamConfig(form) };
      const subjects = config.subjects.length > 0 ? config.subjects : [`${form.text('subjectPrefix')}.>`];
      return {
        stream: form.text('stream'),
        config: { ...config, subjects },
        narrow: form.value('narrow') === true,
        records: true,
      };
    });
    showHints(form, () => [
      ...rivalTexts({ conflictStream: streamRival(this) }),
      ...syncOutHints(settingsOf(form)).map((key) => this._(`hint.${key}`)),
    ]);
  },
  oneditsave() {
    this.streamConfig = readStreamConfig(formOf(this));
  },
});
keepUpToDate(apiSyncOut);
validateTogether(provisions);

function settingsOf(form: Form) {
  return {
    provision: form.value('provision') === true,
    streamConfig: readStreamConfig(form),
    subjectPrefix: form.text('subjectPrefix'),
    start: form.text('start'),
    checkpoint: form.text('checkpoint'),
  };
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
  form.input('streamConfig-subjects').attr('placeholder', text('standard', { value: `${prefix}.>` }));
  form.input('streamConfig-maxMsgsPerSubject').attr('placeholder', text('standard', { value: 1 }));
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
