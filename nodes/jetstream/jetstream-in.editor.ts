import { formOf, openForm, saveNumbers, setting, showHints, type Form } from '../shared/editor/form';
import { type Choice, configNode, lookup } from '../shared/editor/lookup';
import { picker } from '../shared/editor/picker';
import { nodeText, text } from '../shared/editor/text';
import {
  natsName,
  currentValue,
  duration,
  durations,
  filters,
  requiredWhen,
  subject,
  time,
  validator,
  whole,
} from '../shared/editor/validators';
import { jetstreamInHints } from './jetstream-in-hints';
import {
  checkStreamConfig,
  readStreamConfig,
  streamConfigRows,
  type StreamConfig,
} from './stream-config.editor';

const NUMBERS = ['maxDeliver', 'maxAckPending', 'prefetch', 'batchSize'];

const label = (property: string) => nodeText('jetstream-in', `label.${property}`);
const deliverIs = (deliver: string) => (node: EditorNode) => currentValue(node, 'deliver') === deliver;

interface Properties {
  name: string;
  server: string;
  stream: string;
  provision: boolean;
  streamConfig: StreamConfig;
  subject: string;
  durable: string;
  deliver: string;
  startSequence: string;
  startTime: string;
  ackWait: string;
  maxDeliver: number;
  backoff: string;
  maxAckPending: number;
  prefetch: number;
  ack: string;
  processingLimit: string;
  deadLetter: string;
  format: string;
  batchSize: number;
  batchWait: string;
}

RED.nodes.registerType<Properties>('jetstream-in', {
  category: 'JetStream and Salesforce',
  paletteLabel: 'jetstream in',
  color: '#7fc4b4',
  icon: 'jetstream-in.svg',
  defaults: {
    name: { value: '' },
    server: { value: '', type: 'jetstream-server', required: true, label: label('server') },
    stream: { value: '', required: true, label: label('stream'), validate: validator(natsName) },
    provision: { value: false },
    streamConfig: {
      value: {
        subjects: [],
        maxAge: '',
        maxBytes: '',
        maxMsgs: '',
        maxMsgsPerSubject: '',
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
      validate: checkStreamConfig,
    },
    subject: { value: '', label: label('subject'), validate: validator(filters) },
    durable: { value: '', required: true, label: label('durable'), validate: validator(natsName) },
    deliver: { value: 'all' },
    startSequence: {
      value: '',
      label: label('startSequence'),
      validate: requiredWhen(deliverIs('by_start_sequence'), whole(1)),
    },
    startTime: {
      value: '',
      label: label('startTime'),
      validate: requiredWhen(deliverIs('by_start_time'), time),
    },
    ackWait: { value: '120s', required: true, label: label('ackWait'), validate: validator(duration) },
    maxDeliver: { value: 5, required: true, label: label('maxDeliver'), validate: validator(whole(-1)) },
    backoff: { value: '10s, 30s, 1m, 5m', label: label('backoff'), validate: validator(durations) },
    maxAckPending: {
      value: 1000,
      required: true,
      label: label('maxAckPending'),
      validate: validator(whole(-1)),
    },
    prefetch: { value: 1000, required: true, label: label('prefetch'), validate: validator(whole(1)) },
    ack: { value: 'flow' },
    processingLimit: {
      value: '10m',
      required: true,
      label: label('processingLimit'),
      validate: validator(duration),
    },
    deadLetter: { value: '', label: label('deadLetter'), validate: validator(subject) },
    format: { value: 'auto' },
    batchSize: { value: 1, required: true, label: label('batchSize'), validate: validator(whole(1)) },
    batchWait: { value: '250ms', required: true, label: label('batchWait'), validate: validator(duration) },
  },
  inputs: 0,
  outputs: 1,
  label() {
    return this.name || String(this.subject ?? '') || this.stream || 'jetstream-in';
  },
  labelStyle() {
    return this.name ? 'node_label_italic' : '';
  },
  outputLabels: 'message',
  oneditprepare() {
    streamConfigRows($('#jetforce-stream-config'), setting(this, 'streamConfig'));
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
    picker(form.input('durable'), { choices: lookUp('consumers') });

    form.watch(() => $('#jetforce-batch-wait').prop('hidden', Number(form.text('batchSize')) <= 1));
    showSummaries(this, form);
    showHints(form, () =>
      jetstreamInHints(settingsOf(form)).map(({ key, values }) => this._(`hint.${key}`, values)),
    );
  },
  oneditsave() {
    const form = formOf(this);
    this.streamConfig = readStreamConfig(form);
    saveNumbers(this, form, NUMBERS);
  },
});

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

/** What each folded section holds, in its heading. */
function showSummaries(node: EditorNode, form: Form): void {
  const chosen = (name: string) => form.input(name).find('option:selected').text();
  const summary = (id: string, ...parts: string[]) =>
    $(`#jetforce-summary-${id}`).text(parts.filter((part) => part !== '').join(' · '));
  form.watch(() => {
    const { subjects, retention, maxAge, maxBytes } = readStreamConfig(form);
    summary('stream', subjects.join(', '), retention, maxAge, maxBytes);
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
