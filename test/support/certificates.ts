import { isIP } from 'node:net';
import { generate } from 'selfsigned';

/** PEM texts. */
export interface KeyPair {
  cert: string;
  key: string;
}

/** An authority made for one test: clients trust `ca`. */
export interface Authority {
  ca: string;
  /** A certificate for servers on this machine, or for another name or IP address; valid now, unless said otherwise. */
  server(options?: { names?: string[]; validFrom?: Date; validTo?: Date }): Promise<KeyPair>;
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
    dates: { notBeforeDate?: Date; notAfterDate?: Date } = {},
  ): Promise<KeyPair> => {
    const { cert, private: key } = await generate([{ name: 'commonName', value: commonName }], {
      ...SETTINGS,
      ca: { key: root.private, cert: root.cert },
      extensions,
      ...dates,
    });
    return { cert, key };
  };
  return {
    ca: root.cert,
    server: ({ names = ['localhost', '127.0.0.1'], validFrom, validTo } = {}) =>
      signed(
        names[0] ?? '',
        [
          {
            name: 'subjectAltName',
            altNames: names.map((name) => (isIP(name) ? { type: 7, ip: name } : { type: 2, value: name })),
          },
          { name: 'extKeyUsage', serverAuth: true },
        ],
        { ...(validFrom && { notBeforeDate: validFrom }), ...(validTo && { notAfterDate: validTo }) },
      ),
    client: (commonName) => signed(commonName, [{ name: 'extKeyUsage', clientAuth: true }]),
  };
}
