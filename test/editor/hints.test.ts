import assert from 'node:assert/strict';
import { test } from 'node:test';
import { syncOutHints, type SyncOutSettings } from '../../nodes/sync/engine/hints';
import { jetstreamInHints, type JetstreamInSettings } from '../../nodes/jetstream/consume/hints';

const standard: JetstreamInSettings = {
  provision: false,
  streamConfig: { subjects: [], retention: 'limits', maxAge: '', duplicateWindow: '', maxMsgsPerSubject: '' },
  subject: 'crm.contacts.>',
  deliver: 'all',
  ack: 'flow',
  ackWait: '120s',
  maxDeliver: 5,
  backoff: '10s, 30s, 1m, 5m',
  processingLimit: '10m',
  deadLetter: 'dead.crm',
  prefetch: 1000,
  maxAckPending: 1000,
  batchSize: 1,
};
const keys = (change: Partial<JetstreamInSettings>) =>
  jetstreamInHints({ ...standard, ...change }).map(({ key }) => key);
const stream = (change: Partial<JetstreamInSettings['streamConfig']>) => ({
  provision: true,
  streamConfig: { ...standard.streamConfig, subjects: ['crm.>'], ...change },
});

test('settings that fit together raise no hint', () => {
  assert.deepEqual(keys({}), []);
  assert.deepEqual(keys(stream({ maxAge: '1h', duplicateWindow: '2m' })), []);
});

test('a dead letter that the node would consume again', () => {
  assert.deepEqual(keys({ deadLetter: 'crm.contacts.dead' }), ['deadLetterConsumed']);
  assert.deepEqual(keys({ ...stream({}), subject: '', deadLetter: 'crm.dead' }), ['deadLetterConsumed']);
  assert.deepEqual(keys({ subject: 'crm.*, orders.>', deadLetter: 'orders.x.y' }), ['deadLetterConsumed']);
  assert.deepEqual(keys({ subject: 'crm.*', deadLetter: 'crm.contacts.dead' }), []);
  assert.deepEqual(keys({ ...stream({}), subject: '', deadLetter: 'dead.crm' }), []);
  assert.deepEqual(keys({ ...stream({}), subject: 'crm.>, dead.>', deadLetter: 'dead.crm' }), [
    'filterOutside',
  ]);
  assert.deepEqual(keys({ subject: '', deadLetter: 'dead.crm' }), []);
});

test('a filter that no subject of the stream matches', () => {
  assert.deepEqual(keys({ ...stream({}), subject: 'orders.>' }), ['filterOutside']);
});

test('more waits than retries, and fewer', () => {
  assert.deepEqual(jetstreamInHints({ ...standard, maxDeliver: 3 }), [
    { key: 'backoffLonger', values: { used: 2, deliveries: 3 } },
  ]);
  assert.deepEqual(jetstreamInHints({ ...standard, backoff: '10s, 1m' }), [
    { key: 'backoffShorter', values: { last: '1m', deliveries: 5 } },
  ]);
  assert.deepEqual(keys({ maxDeliver: -1 }), []);
});

test('an ack wait too short for a hang, and a processing limit below it', () => {
  assert.deepEqual(keys({ ackWait: '5s' }), ['ackWaitShort']);
  assert.deepEqual(keys({ processingLimit: '60s' }), ['limitBelowAckWait']);
  assert.deepEqual(keys({ processingLimit: '60s', ack: 'delivery' }), ['atDelivery']);
});

test('a prefetch or batch that is never reached', () => {
  assert.deepEqual(keys({ prefetch: 2000 }), ['prefetchAbovePending']);
  assert.deepEqual(keys({ batchSize: 1001 }), ['batchNeverFull']);
  assert.deepEqual(keys({ prefetch: 5000, maxAckPending: -1 }), []);
});

test('a stream that contradicts its consumer', () => {
  assert.deepEqual(keys(stream({ maxAge: '1m', duplicateWindow: '2m' })), [
    'windowAboveAge',
    'ageBelowRetries',
  ]);
  assert.deepEqual(keys(stream({ maxAge: '5m' })), ['ageBelowRetries']);
  assert.deepEqual(keys({ ...stream({ retention: 'workqueue' }), deliver: 'new' }), ['workqueueDeliver']);
  assert.deepEqual(keys(stream({ maxMsgsPerSubject: 1 })), ['onePerSubject']);
  assert.deepEqual(keys({ subject: '', deliver: 'last_per_subject' }), ['lastPerSubjectFilter']);
});

test('a value that cannot be read is left to its validator', () => {
  assert.deepEqual(keys({ ackWait: 'soon', backoff: 'x', processingLimit: '' }), []);
});

const sync: SyncOutSettings = {
  provision: true,
  streamConfig: { subjects: [], retention: 'limits', discard: 'old', maxAge: '', maxMsgsPerSubject: 1 },
  subjectPrefix: 'sequin-records',
  start: 'beginning',
  checkpoint: 'kv',
};
const syncKeys = (change: Partial<SyncOutSettings['streamConfig']>, more: Partial<SyncOutSettings> = {}) =>
  syncOutHints({ ...sync, ...more, streamConfig: { ...sync.streamConfig, ...change } });

test('api-sync-out: a stream as the guide advises raises no hint', () => {
  assert.deepEqual(syncKeys({}), []);
  assert.deepEqual(syncKeys({ subjects: ['sequin-records.>', 'other.>'] }), []);
  assert.deepEqual(syncKeys({ subjects: ['>'] }), []);
  assert.deepEqual(syncKeys({ maxMsgsPerSubject: '' }), [], 'which means one');
});

test('api-sync-out: a stream that readers would not get the complete data set from', () => {
  assert.deepEqual(syncKeys({ subjects: ['crm.>'] }), ['outside']);
  assert.deepEqual(syncKeys({ retention: 'workqueue' }), ['consumed']);
  assert.deepEqual(syncKeys({ maxAge: '1h' }), ['aged']);
  assert.deepEqual(syncKeys({ maxMsgsPerSubject: -1 }), ['versions']);
  assert.deepEqual(syncKeys({ discard: 'new' }), ['full']);
  assert.deepEqual(syncKeys({ subjects: ['crm.>'], maxAge: '1h' }, { provision: false }), []);
  assert.deepEqual(syncKeys({}, { start: 'now', checkpoint: 'context' }), ['fromNow', 'oneInstance']);
});
