import { generate } from 'selfsigned';

/** PEM texts. */
export interface KeyPair {
  cert: string;
  key: string;
}

/** An authority made for one test: clients trust `ca`. */
export interface Authority {
  ca: string;
  /** A certificate for servers on this machine. */
  server(): Promise<KeyPair>;
  client(commonName: string): Promise<KeyPair>;
}

const SETTINGS = { keyType: 'ec', curve: 'P-256', algorithm: 'sha256' } as const;

export async function makeAuthority(): Promise<Authority> {
  const root = await generate([{ name: 'commonName', value: 'Test authority' }], {
    ...SETTINGS,
    extensions: [
      { name: 'basicConstraints', cA: true, critical: true },
      { name: 'keyUsage', keyCertSign: true, cRLSign: true, critical: true },
    ],
  });
  const signed = async (
    commonName: string,
    extensions: NonNullable<Parameters<typeof generate>[1]>['extensions'],
  ): Promise<KeyPair> => {
    const { cert, private: key } = await generate([{ name: 'commonName', value: commonName }], {
      ...SETTINGS,
      ca: { key: root.private, cert: root.cert },
      extensions,
    });
    return { cert, key };
  };
  return {
    ca: root.cert,
    server: () =>
      signed('localhost', [
        {
          name: 'subjectAltName',
          altNames: [
            { type: 2, value: 'localhost' },
            { type: 7, ip: '127.0.0.1' },
          ],
        },
        { name: 'extKeyUsage', serverAuth: true },
      ]),
    client: (commonName) => signed(commonName, [{ name: 'extKeyUsage', clientAuth: true }]),
  };
}
