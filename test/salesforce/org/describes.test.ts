import assert from 'node:assert/strict';
import { describe, test, type TestContext } from 'node:test';
import { Describes } from '../../../nodes/salesforce/org/describes';
import { outage, turns } from '../fake-org';

const field = { name: 'Key__c', type: 'string', unique: true, caseSensitive: false };

function start(t: TestContext, answer: (path: string) => unknown = () => ({ fields: [field] })) {
  let now = 1_000;
  t.mock.method(performance, 'now', () => now);
  const asked: string[] = [];
  const describes = new Describes((path) => {
    asked.push(path);
    return Promise.resolve().then(() => answer(path));
  });
  return { describes, asked, pass: (ms: number) => void (now += ms) };
}

describe('what describe tells of an object', () => {
  test('is read once, when it is first asked for, whatever the case of the name', async (t) => {
    const { describes, asked } = start(t);
    assert.equal(describes.fields('Order__c'), undefined);
    assert.equal(describes.fields('ORDER__C'), undefined);
    await describes.settling('order__c');
    assert.deepEqual(describes.fields('Order__c')?.get('key__c'), {
      ...field,
      referenceTo: [],
      relationshipName: null,
    });
    assert.equal(describes.settling('Order__c'), undefined, 'nothing is waited for any more');
    assert.deepEqual(asked, ['/sobjects/Order__c/describe']);
  });

  test('is kept for an hour, and until the next answer is there', async (t) => {
    const { describes, asked, pass } = start(t);
    await describes.settling('A');
    pass(3_600_000);
    assert.ok(describes.fields('A'));
    await turns();
    assert.equal(asked.length, 2);
    describes.fields('A');
    assert.equal(asked.length, 2);
  });

  for (const [what, answer] of [
    ['refused', () => Promise.reject(new Error('refused'))],
    ['of another shape', () => ({ fields: 'none' })],
    ['nothing', () => undefined],
  ] as const)
    test(`that is ${what} is not known, nor asked for again within a minute; nobody fails of it`, async (t) => {
      const { describes, asked, pass } = start(t, answer);
      await describes.settling('A');
      assert.equal(describes.fields('A'), undefined);
      assert.equal(describes.settling('A'), undefined);
      assert.equal(asked.length, 1);
      pass(60_000);
      assert.ok(describes.settling('A'));
      assert.equal(asked.length, 2);
    });

  test('that the org is away for is asked for again after a second', async (t) => {
    const { describes, asked, pass } = start(t, () => Promise.reject(outage()));
    await describes.settling('A');
    assert.equal(describes.settling('A'), undefined);
    pass(1_000);
    await describes.settling('A');
    assert.equal(asked.length, 2);
  });
});
