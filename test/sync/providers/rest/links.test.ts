import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { absolute, linked } from '../../../../nodes/sync/providers/rest/links';

const AT = 'https://api.ex.test/v1/things?page=1';
const next = (link: string) => linked({ link }, 'next', AT);

describe('the next page of a Link header', () => {
  for (const [what, link, url] of [
    [
      'as it is',
      '<https://api.ex.test/v1/things?page=2>; rel="next"',
      'https://api.ex.test/v1/things?page=2',
    ],
    ['relative', '</v1/things?page=2>; rel="next"', 'https://api.ex.test/v1/things?page=2'],
    ['a query alone', '<?page=2>; rel="next"', 'https://api.ex.test/v1/things?page=2'],
    [
      'behind another',
      '<?page=0>; rel="prev", <?page=2>; rel="next"',
      'https://api.ex.test/v1/things?page=2',
    ],
    [
      'behind a title with a comma',
      '<?page=2>; title="a, <b>"; rel="next"',
      'https://api.ex.test/v1/things?page=2',
    ],
    ['with commas of its own', '<?ids=1,2>; rel="next"', 'https://api.ex.test/v1/things?ids=1,2'],
    ['one of several relations', '<?page=2>; rel="last next"', 'https://api.ex.test/v1/things?page=2'],
    ['without quotes, in capitals', '<?page=2>;REL=Next', 'https://api.ex.test/v1/things?page=2'],
    ['in single quotes', "<?page=2>; rel='next'", 'https://api.ex.test/v1/things?page=2'],
    [
      'by http, of a proxy that ends TLS',
      '<http://api.ex.test/v1/things?page=2>; rel=next',
      'https://api.ex.test/v1/things?page=2',
    ],
    ['of another relation', '<?page=2>; rel="next-archive"', undefined],
    ['in no link', 'rel="next"', undefined],
    ['of no URL', '<http://>; rel="next"', undefined],
  ] as const)
    test(what, () => assert.equal(next(link), url));

  test('is none where there is no header', () => assert.equal(linked({}, 'next', AT), undefined));
});

test('another host stays another host', () =>
  assert.equal(absolute('http://other.test/things', AT), 'http://other.test/things'));
