import assert from 'node:assert/strict';
import { test } from 'node:test';
import { pickSource, readDeb822, readOneLine } from '../../scripts/debian';

test('the deb822 form: the release is taken, its security updates and others are not', () => {
  const sources = readDeb822(`# comment
Types: deb deb-src
# another
URIs: https://mirror.example/debian-security
Suites: trixie-security
Components: main

Types: deb
Enabled: no
URIs: https://off.example/debian
Suites: trixie
Components: main

Types: deb-src
URIs: https://source.example/debian
Suites: trixie
Components: main

Types: deb
URIs: https://vendor.example/apt
Suites: stable
Components: vendor

Types: deb
URIs: https://mirror.example/debian
Suites: trixie trixie-updates
Components: main contrib
Signed-By: /usr/share/keyrings/debian-archive-keyring.pgp
`);
  assert.deepEqual(pickSource(sources, 'trixie'), {
    URIs: 'https://mirror.example/debian',
    Suites: 'trixie',
    Components: 'main',
    'Signed-By': '/usr/share/keyrings/debian-archive-keyring.pgp',
    Trusted: undefined,
  });
});

test('a key written into the source keeps its lines', () => {
  const key = '\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n mQINBF\n -----END PGP PUBLIC KEY BLOCK-----';
  const [source] = readDeb822(
    `Types: deb\nURIs: https://m.example/debian\nSuites: sid\nComponents: main\nSigned-By:${key}\n`,
  );
  assert.equal(source?.['Signed-By'], key.trimStart());
});

test('the one-line form, with options and comments', () => {
  const sources = readOneLine(`
# deb https://off.example/debian bookworm main
deb-src https://mirror.example/debian bookworm main
deb [ arch=amd64 signed-by=/etc/apt/a.gpg,/etc/apt/b.gpg ] mirror+file:/etc/apt/mirrors/debian.list bookworm main contrib # ours
deb https://mirror.example/debian bookworm-updates main
`);
  assert.deepEqual(pickSource(sources, 'bookworm'), {
    URIs: 'mirror+file:/etc/apt/mirrors/debian.list',
    Suites: 'bookworm',
    Components: 'main',
    'Signed-By': '/etc/apt/a.gpg /etc/apt/b.gpg',
    Trusted: undefined,
  });
  assert.equal(sources.length, 2);
});

test("another distribution's sources are not Debian's", () => {
  const sources = readOneLine('deb https://mirror.example/other noble main universe');
  assert.equal(pickSource(sources, 'trixie'), undefined);
});
