import { createHmac, createSign } from 'node:crypto';

/**
 * A JSON web token (RFC 7519) with these claims. `key` is a PEM of an RSA key for RS256, whose line ends may have become
 * "\n" in two signs, and any text for HS256. Throws where it is no such key.
 */
export function signJwt(claims: object, key: string, algorithm: 'RS256' | 'HS256' = 'RS256'): string {
  const encode = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  const unsigned = `${encode({ alg: algorithm, typ: 'JWT' })}.${encode(claims)}`;
  const signature =
    algorithm === 'RS256'
      ? createSign('RSA-SHA256').update(unsigned).sign(key.replaceAll('\\n', '\n'), 'base64url')
      : createHmac('sha256', key).update(unsigned).digest('base64url');
  return `${unsigned}.${signature}`;
}
