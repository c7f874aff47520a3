import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { EventField } from '../../nodes/salesforce/avro-fields';
import { eventFields } from '../../nodes/salesforce/avro-fields';
import { namesOf, readChange } from '../../nodes/salesforce/cdc';

const field = (name: string, fields?: EventField[]): EventField => ({
  name,
  doc: '',
  type: fields ? 'record' : 'string',
  nullable: true,
  fields,
});
const PERSON = [field('Salutation'), field('FirstName'), field('LastName')];
const CONTACT = [field('ChangeEventHeader'), field('Name', PERSON), field('Email'), field('Phone')];

test('a bitmap’s lowest bit is the first field of the schema', () => {
  const fields = Array.from({ length: 32 }, (_, i) => field(`F${i}`));
  // The example of the documentation: 0x650004E0 = bits 5, 6, 7, 10, 24, 26, 29, 30.
  assert.deepEqual(namesOf(fields, ['0x650004E0']), ['F5', 'F6', 'F7', 'F10', 'F24', 'F26', 'F29', 'F30']);
});

test('a bitmap with a number in front counts the parts of that field', () => {
  assert.deepEqual(namesOf(CONTACT, ['0x04', '1-0x06']), ['Email', 'Name.FirstName', 'Name.LastName']);
  assert.deepEqual(namesOf(CONTACT, ['1-0x1']), ['Name.Salutation']);
});

test('bits beyond the schema and texts that are no bitmap name nothing', () => {
  assert.deepEqual(namesOf(CONTACT, ['0xF000', '9-0x1', '', 'LastName']), []);
  assert.deepEqual(namesOf(CONTACT, undefined), []);
});

test('any set of fields survives being made a bitmap', () => {
  fc.assert(
    fc.property(fc.uniqueArray(fc.nat(300)), fc.integer({ min: 301, max: 400 }), (marked, size) => {
      const fields = Array.from({ length: size }, (_, i) => field(`F${i}`));
      const bits = marked.reduce((sum, i) => sum | (1n << BigInt(i)), 0n);
      const names = [...marked].sort((a, b) => a - b).map((i) => `F${i}`);
      assert.deepEqual(namesOf(fields, [`0x${bits.toString(16)}`]), names);
    }),
  );
});

const header = (more: object) => ({
  entityName: 'Contact',
  recordIds: ['003000000000001AAA'],
  changeType: 'UPDATE',
  changedFields: [],
  nulledFields: [],
  diffFields: [],
  ...more,
});

test('an update holds what has changed, and null only for what was emptied', () => {
  const change = readChange(
    {
      ChangeEventHeader: header({ changedFields: ['0x0c', '1-0x06'], nulledFields: ['0x08', '1-0x02'] }),
      Name: { Salutation: null, FirstName: null, LastName: 'Doe' },
      Email: 'a@example.com',
      Phone: null,
    },
    CONTACT,
  );
  const { ChangeEventHeader, ...values } = change;
  assert.deepEqual(values, {
    Name: { FirstName: null, LastName: 'Doe' },
    Email: 'a@example.com',
    Phone: null,
  });
  assert.deepEqual(ChangeEventHeader.changedFields, ['Email', 'Phone', 'Name.FirstName', 'Name.LastName']);
  assert.deepEqual(ChangeEventHeader.nulledFields, ['Phone', 'Name.FirstName']);
});

test('parts of a compound field that were emptied show even where the whole of it is null', () => {
  const change = readChange(
    { ChangeEventHeader: header({ changedFields: ['1-0x02'], nulledFields: ['1-0x02'] }), Name: null },
    CONTACT,
  );
  assert.deepEqual(change.Name, { FirstName: null });
});

test('a deletion has no fields at all', () => {
  const change = readChange(
    { ChangeEventHeader: header({ changeType: 'DELETE' }), Name: null, Email: null, Phone: null },
    CONTACT,
  );
  assert.deepEqual(Object.keys(change), ['ChangeEventHeader']);
  assert.equal(change.ChangeEventHeader.gap, false);
});

test('gaps and ids that stand for any record are marked', () => {
  const mark = (more: object) => {
    const { gap, wildcard } = readChange({ ChangeEventHeader: header(more) }, CONTACT).ChangeEventHeader;
    return { gap, wildcard };
  };
  assert.deepEqual(mark({ changeType: 'GAP_UPDATE' }), { gap: true, wildcard: false });
  assert.deepEqual(mark({ changeType: 'GAP_OVERFLOW', recordIds: [''] }), { gap: true, wildcard: false });
  assert.deepEqual(mark({ recordIds: ['001*'] }), { gap: false, wildcard: true });
});

test('a field that is a text or a record is described by the record’s parts, named types where they come again', () => {
  const schema = {
    name: 'AccountChangeEvent',
    namespace: 'com.sforce.eventbus',
    type: 'record',
    fields: [
      {
        name: 'Name',
        type: [
          'null',
          'string',
          { type: 'record', name: 'Parts', fields: [{ name: 'First', type: 'string' }] },
        ],
      },
      { name: 'Other', type: ['null', 'Parts'] },
      { name: 'Full', type: ['null', 'com.sforce.eventbus.Parts'] },
      { name: 'Tags', type: { type: 'array', items: 'string' } },
    ],
  };
  const [name, other, full, tags] = eventFields(JSON.stringify(schema));
  for (const compound of [name, other, full])
    assert.deepEqual(
      compound?.fields?.map((part) => part.name),
      ['First'],
    );
  assert.deepEqual([tags?.type, tags?.items?.type, tags?.nullable], ['array', 'string', false]);
});
