import assert from 'node:assert/strict';
import { EventEmitter, once } from 'node:events';
import { setImmediate } from 'node:timers/promises';
import { afterEach, test } from 'node:test';
import { speak, speaking, spoken } from '../../nodes/shared/language';
import { called, keyOf, say } from '../../nodes/shared/say';

const gone = (stream: string): string => say`No stream takes "${stream}"`;

afterEach(() => speak('en'));

test('English stands in the source, with its values as a template writes them', () => {
  assert.equal(gone('crm'), 'No stream takes "crm"');
  assert.equal(say`${1} of ${null}, ${undefined} and ${true}`, '1 of null, undefined and true');
  assert.equal(say`nothing to fill in`, 'nothing to fill in');
});

test('a runtime in German says it in German, whatever country it is', () => {
  for (const language of ['de', 'de-AT', 'DE-de']) {
    speak(language);
    assert.equal(gone('crm'), 'Kein Stream nimmt „crm“ auf');
  }
});

test('without a catalogue, or a sentence in it, it is English', () => {
  speak('fr');
  assert.equal(spoken(), 'en');
  assert.equal(gone('crm'), 'No stream takes "crm"');
  speak('de');
  assert.equal(say`This stands in no catalogue: ${'x'}`, 'This stands in no catalogue: x');
});

test('another language may put the values in another order', () => {
  speak('de');
  assert.equal(
    say`the proxy ${'p'} has opened no tunnel to ${'t'} within ${5} s`,
    'der Proxy p hat in 5 s keinen Tunnel zu t geöffnet',
  );
});

test('a value is filled in as it is, whatever it holds', () => {
  speak('de');
  assert.equal(gone('{1} $& $1'), 'Kein Stream nimmt „{1} $& $1“ auf');
  assert.equal(keyOf(['a ', ' b ', '']), 'a {1} b {2}');
});

test('what a declaration calls something has words of its own for each language, or is in the catalogue', () => {
  const words = { en: 'Access token', de: 'Zugriffstoken' };
  assert.deepEqual([called(words), called('Ack wait'), called('mine')], ['Access token', 'Ack wait', 'mine']);
  speak('de');
  assert.deepEqual([called(words), called('a provider'), called('mine')], ['Zugriffstoken', 'API', 'mine']);
});

test('whoever asks is answered in the first language that there is, and nobody else', async () => {
  const answer = speaking(['fr', 'de-CH', 'en'], async () => {
    await setImmediate();
    return gone('a');
  });
  assert.equal(gone('b'), 'No stream takes "b"');
  assert.equal(await answer, 'Kein Stream nimmt „a“ auf');
  assert.equal(await speaking(['*'], async () => Promise.resolve(gone('c'))), 'No stream takes "c"');
  speak('de');
  assert.equal(await speaking(['en-GB'], async () => Promise.resolve(gone('d'))), 'No stream takes "d"');
});

test('what goes on behind an answer speaks the language of the runtime again', async () => {
  let later: Promise<string> | undefined;
  const gate = new EventEmitter();
  await speaking(['de'], async () => {
    later = once(gate, 'open').then(() => gone('x'));
    await setImmediate();
  });
  gate.emit('open');
  assert.equal(await later, 'No stream takes "x"');
});
