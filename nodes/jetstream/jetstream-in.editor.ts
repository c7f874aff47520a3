import { formOf, openForm, setting, showHints, type Form } from '../shared/editor/form';
import { type Choice, configNode, lookup, LookupError } from '../shared/editor/lookup';
import { paletteLabel } from '../shared/editor/palette';
import { picker } from '../shared/editor/picker';
import { defaultsOf, keepUpToDate, saveNumbers } from '../shared/editor/settings';
import { nodeText, text } from '../shared/editor/text';
import { sourceHints } from '../shared/editor/wiring';
import { jetstreamInHints } from './consume/hints';
import { jetstreamIn, madeStream } from './jetstream-in.settings';
import { durableRival } from './consume/durable-rivals.editor';
import { andThen, validateTogether, rivalTexts, rivalValidity } from './streams/rivals.editor';
import { showStreamPlan } from './streams/stream-plan.editor';
import { demandOf, provisions, streamRival } from './streams/stream-rivals.editor';
import { streamSettings } from './streams/stream.settings';
import { parseFields } from '../shared/settings/settings';
import { readStreamConfig, streamConfigRows } from './streams/stream-config.editor';

const LABEL = 'nats jetstream in';

const label = (property: string) => nodeText('jetstream-in', `label.${property}`);

/** JetStream's own code. */
const NO_SUCH_STREAM = 'JETSTREAM_10059';

const defaults = defaultsOf(jetstreamIn);

RED.nodes.registerType('jetstream-in', {
  category: 'JetStream and Salesforce',
  paletteLabel: paletteLabel('jetstream-in', LABEL),
  color: '#7fc4b4',
  icon: 'jetstream-in.svg',
  defaults: {
    ...defaults,
    stream: andThen(defaults.stream, (node) => rivalValidity('conflictStream', streamRival(node))),
    durable: andThen(defaults.durable, (node) => rivalValidity('conflictDurable', durableRival(node))),
  },
  inputs: 0,
  outputs: 1,
  label() {
    return this.name || String(this.subject ?? '') || this.stream || LABEL;
  },
  labelStyle() {
    return this.name ? 'node_label_italic' : '';
  },
  outputLabels() {
    return this._('port.message');
  },
  streamDemand() {
    return demandOf(this, ({ streamConfig }) => parseFields(streamSettings, streamConfig as object));
  },
  oneditprepare() {
    streamConfigRows($('#jetforce-stream-config'), setting(this, 'streamConfig'), madeStream);
    const form = openForm(this);

    const lookUp = (action: string) => async () => {
      const server = configNode('jetstream-server', form.text('server'));
      if (!server) throw new Error(text('chooseServer'));
      const stream = form.text('stream');
      if (action !== 'streams' && stream === '')
        throw new Error(text('chooseFirst', { field: label('stream') }));
      return lookup<Choice[]>(server, action, { stream });
    };
    picker(form.input('stream'), { choices: lookUp('streams') });
    picker(form.input('subject'), { choices: lookUp('subjects'), several: true });
    picker(form.input('durable'), {
      choices: () =>
        lookUp('consumers')().catch((error: unknown) => {
          const making = form.value('provision') === true;
          if (making && error instanceof LookupError && error.code === NO_SUCH_STREAM)
            return text('willBeCreated');
          throw error;
        }),
    });

    form.watch(() => $('#jetforce-batch-wait').prop('hidden', Number(form.text('batchSize')) <= 1));
    fillSubjects(form);
    showSummaries(this, form);
    showStreamPlan(form, $('#jetforce-stream-plan'), () => ({
      stream: form.text('stream'),
      config: readStreamConfig(form),
      narrow: form.value('narrow') === true,
      records: false,
    }));
    showHints(form, () => [
      ...rivalTexts({ conflictDurable: durableRival(this), conflictStream: streamRival(this) }),
      ...sourceHints(this, { ack: form.text('ack'), deadLetter: form.text('deadLetter') }).map(
        ({ key, values }) => text(`hint_${key}`, values),
      ),
      ...jetstreamInHints(settingsOf(form)).map(({ key, values }) => this._(`hint.${key}`, values)),
    ]);
  },
  oneditsave() {
    const form = formOf(this);
    this.streamConfig = readStreamConfig(form);
    saveNumbers(this, form, jetstreamIn);
  },
});
keepUpToDate(jetstreamIn);
validateTogether(provisions);

function settingsOf(form: Form) {
  return {
    provision: form.value('provision') === true,
    streamConfig: readStreamConfig(form),
    subject: form.text('subject'),
    deliver: form.text('deliver'),
    ack: form.text('ack'),
    ackWait: form.text('ackWait'),
    maxDeliver: Number(form.text('maxDeliver')),
    backoff: form.text('backoff'),
    processingLimit: form.text('processingLimit'),
    deadLetter: form.text('deadLetter'),
    prefetch: Number(form.text('prefetch')),
    maxAckPending: Number(form.text('maxAckPending')),
    batchSize: Number(form.text('batchSize')),
  };
}

/**
 * The subjects of a stream to be made are those that are read, in whatever order the two are entered, until they are
 * changed by hand. Opening a form fills in nothing: that they are missing must be seen.
 */
function fillSubjects(form: Form): void {
  const subjects = form.input('streamConfig-subjects');
  let [read, filled] = [form.text('subject'), ''];
  const fill = () => {
    if (form.value('provision') !== true || ![filled, ''].includes(form.text('streamConfig-subjects')))
      return;
    filled = form.text('subject');
    subjects.val(filled).trigger('change');
  };
  // A click: the editor itself tells of a change when it opens the form.
  form.input('provision').on('click', fill);
  form.input('subject').on('change input', () => {
    if (form.text('subject') === read) return;
    read = form.text('subject');
    fill();
  });
}

/** What each folded section holds, in its heading. */
function showSummaries(node: EditorNode, form: Form): void {
  const chosen = (name: string) => form.input(name).find('option:selected').text();
  const summary = (id: string, ...parts: string[]) =>
    $(`#jetforce-summary-${id}`).text(parts.filter((part) => part !== '').join(' · '));
  form.watch(() => {
    const { subjects, retention, maxAge, maxBytes } = readStreamConfig(form);
    summary('stream', subjects.join(', '), retention, maxAge, String(maxBytes));
    const deliveries = node._('summary.deliveries', { deliveries: form.text('maxDeliver') });
    summary('settle', form.text('ack'), deliveries, form.text('backoff'), form.text('deadLetter'));
    const batch =
      Number(form.text('batchSize')) > 1
        ? node._('summary.batch', { size: form.text('batchSize') })
        : node._('summary.single');
    summary('message', form.text('format'), batch);
    summary('flow', chosen('deliver'), node._('summary.prefetch', { prefetch: form.text('prefetch') }));
  });
}
