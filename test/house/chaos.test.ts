import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { promisify } from 'node:util';
import type { Row } from '../../bench/chaos/fault';
import type { Contact, Event } from '../../bench/chaos/load';
import { verify, writtenBy, type Outcome } from '../../bench/chaos/verify';

const root = join(__dirname, '..', '..');

test('npm run chaos prints a row for each fault asked for, and ends with 0 when none failed', async () => {
  const args = ['--import=tsx', join(root, 'bench', 'chaos.ts'), '--json', 'durable-deleted'];
  const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: root });
  const [row, ...more] = JSON.parse(stdout) as Row[];
  assert.deepEqual(more, []);
  assert.ok(row);
  assert.deepEqual([row.name, row.result, row.problems], ['durable-deleted', 'ok', []]);
  assert.equal(row.right + row.deadLetters, row.events);
  assert.ok(row.deadLetters > 0 && row.right > row.deadLetters);
});

describe('what chaos counts', () => {
  const first = { LastName: 'One', Title: 'event 1' };
  const changed = { LastName: 'One', Title: 'event 2' };
  const bad = { Title: 'event 3' };
  const events: Event[] = [
    { number: 1, contacts: [first], refused: false },
    { number: 2, contacts: [changed, { LastName: 'Two', Title: 'event 2' }], refused: false },
    { number: 3, contacts: [{ LastName: 'Three', Title: 'event 3' }, bad], refused: true },
  ];
  const right: Outcome = {
    events,
    records: [changed, { LastName: 'Two', Title: 'event 2' }],
    written: new Set(events.slice(0, 2).flatMap(({ contacts }) => contacts.map(writtenBy))),
    deadLetters: [
      { contacts: [{ LastName: 'Three', Title: 'event 3' }, bad], code: 'REQUIRED_FIELD_MISSING' },
    ],
  };
  const problems = (more: Partial<Outcome>): string[] => verify({ ...right, ...more }).problems;

  test('all right: each event is written, the last word stands, what the org refuses is a dead letter', () => {
    assert.deepEqual(verify(right), { right: 2, deadLetters: 1, duplicates: 0, problems: [] });
  });

  test('a record that is not there, or never was, is noticed', () => {
    assert.deepEqual(problems({ records: [changed] }), ['event 2: Two is not in the org']);
    const without = (contact: Contact) =>
      new Set([...right.written].filter((entry) => entry !== writtenBy(contact)));
    assert.deepEqual(problems({ written: without(changed) }), ['event 2: One was never written']);
    assert.deepEqual(problems({ written: without(first) }), [], 'nobody sees what a newer one has replaced');
  });

  test('an older state over a newer one is noticed', () => {
    const [, two = {}] = right.records;
    assert.deepEqual(problems({ records: [first, two] }), [
      'event 2: One has Title event 1 instead of event 2',
    ]);
  });

  test('a record that is there twice is counted', () => {
    const verdict = verify({ ...right, records: [...right.records, changed] });
    assert.equal(verdict.duplicates, 1);
    assert.deepEqual(verdict.problems, ['1 records are in the org twice']);
  });

  test('a part of a refused event in the org is noticed, and one that is no dead letter', () => {
    const part = { LastName: 'Three', Title: 'event 3' };
    assert.deepEqual(problems({ records: [...right.records, part] }), ['event 3 is partly in the org']);
    assert.deepEqual(problems({ deadLetters: [] }), ["event 3 can't be written and is no dead letter"]);
    assert.deepEqual(problems({ deadLetters: [...right.deadLetters, ...right.deadLetters] }), [
      'event 3 is a dead letter twice',
    ]);
  });

  test('a good event may be given up only with the code that the fault allows', () => {
    const deadLetters = [...right.deadLetters, { contacts: [first], code: 'AMBIGUOUS_WRITE' }];
    assert.deepEqual(problems({ deadLetters }), ['event 1 was given up: AMBIGUOUS_WRITE']);
    assert.deepEqual(verify({ ...right, deadLetters, mayGiveUp: 'AMBIGUOUS_WRITE' }), {
      right: 1,
      deadLetters: 2,
      duplicates: 0,
      problems: [],
    });
  });
});
