/** jsforce, the client nobody here wrote, logged in to the simulated org. */
import { Connection } from 'jsforce';
import { type TestContext } from 'node:test';
import { startOrg, type Org, type OrgOptions } from './org';

/** An org of one test's own, closed with it. */
export async function orgFor(t: TestContext, options?: OrgOptions): Promise<Org> {
  const org = await startOrg(options);
  t.after(() => org.close());
  return org;
}

export async function connect(org: Org): Promise<Connection> {
  const connection = new Connection({
    version: '65.0',
    oauth2: { loginUrl: org.url, clientId: org.clientId, clientSecret: org.clientSecret },
  });
  await connection.authorize({ grant_type: 'client_credentials' });
  return connection;
}

/** A raw call with a fresh token, for what jsforce can't show. */
export async function rawClient(
  org: Org,
): Promise<
  (method: string, path: string, body?: unknown, headers?: Record<string, string>) => Promise<RawReply>
> {
  const { accessToken } = await connect(org);
  return async (method, path, body, headers = {}) => {
    const response = await fetch(
      `${org.url}${path.startsWith('/services') ? '' : '/services/data/v65.0'}${path}`,
      {
        method,
        headers: {
          Authorization: `Bearer ${accessToken ?? ''}`,
          ...(body === undefined ? {} : { 'Content-Type': 'application/json' }),
          ...headers,
        },
        body: body === undefined ? undefined : typeof body === 'string' ? body : JSON.stringify(body),
      },
    );
    const text = await response.text();
    const json =
      /json/.test(response.headers.get('content-type') ?? '') && text !== ''
        ? (JSON.parse(text) as unknown)
        : undefined;
    return { status: response.status, headers: response.headers, text, json };
  };
}

export interface RawReply {
  status: number;
  headers: Headers;
  text: string;
  /** The parsed body; tests compare it whole or read it through `as`. */
  json: unknown;
}

/** The status code of a row's first error; jsforce's types call it errorCode, which only top-level errors have. */
export function rowCode(row: { errors: readonly object[] } | undefined): unknown {
  const [error] = row?.errors ?? [];
  return error && 'statusCode' in error ? error.statusCode : undefined;
}
