import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { judge, type Judgement } from '../../../nodes/shared/http/judge';

const PAGE = '<html><body>Blocked</body></html>';
const judged = (status: number, body: unknown, contentType = '') => judge({ status, body, contentType });

describe('an answer', () => {
  const cases: [Judgement, number, unknown, string?][] = [
    ['done', 200, { a: 1 }, 'application/json'],
    ['done', 201, []],
    ['done', 204, undefined],
    ['done', 200, 'Id,Name', 'text/csv'],
    ['unknown', 200, PAGE, 'text/html;charset=UTF-8'],
    ['unknown', 200, '[{"id":"003', 'application/json'],
    ['unknown', 200, PAGE],
    ['moved', 301, undefined],
    ['moved', 302, PAGE],
    ['moved', 307, { message: 'm' }],
    ['moved', 308, undefined],
    ['refused', 300, ['a', 'b']],
    ['session', 401, { message: 'm' }],
    ['session', 401, PAGE],
    ['away', 407, { message: 'proxy' }],
    ['away', 421, undefined],
    ['unknown', 408, undefined],
    ['busy', 420, PAGE],
    ['busy', 425, undefined],
    ['busy', 429, { message: 'slow down' }],
    ['large', 413, PAGE],
    ['large', 414, undefined],
    ['large', 431, ''],
    ['refused', 413, { message: 'too large' }],
    ['unknown', 500, { message: 'm' }],
    ['unknown', 502, PAGE],
    ['unknown', 503, undefined],
    ['unknown', 504, undefined],
    ['unknown', 0, undefined],
    ...[400, 403, 404, 405, 406, 409, 410, 415, 422].flatMap((status): [Judgement, number, unknown][] => [
      ['refused', status, { message: 'm' }],
      ['away', status, PAGE],
      ['away', status, undefined],
      ['away', status, null],
    ]),
  ];
  for (const [judgement, status, body, contentType] of cases)
    test(`of ${status} with ${JSON.stringify(body)} ${contentType ?? ''} is ${judgement}`, () =>
      assert.equal(judged(status, body, contentType), judgement));

  test('of a shape that is not the API’s own is somebody else’s refusal', () => {
    const isOwn = (body: unknown) => Array.isArray(body);
    const answer = { status: 403, contentType: 'application/json' };
    assert.equal(judge({ ...answer, body: { message: 'Forbidden' } }, isOwn), 'away');
    assert.equal(judge({ ...answer, body: [{ errorCode: 'X' }] }, isOwn), 'refused');
  });
});
