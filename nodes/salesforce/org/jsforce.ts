import type { Connection } from 'jsforce';
import type { OrgSession } from './session';

/**
 * jsforce for what it knows of the API (describe, and the types of its answers), over the session's requests: its own
 * have no time-out, follow redirects with the token, and log in anew for ever where an org keeps answering 401. It
 * gets no token. Loaded on first use (it takes 200 ms). Only reads: writing has its own path (http.ts), because
 * jsforce hides the status of an answer. Calls throw what `session.get` throws.
 */
export async function jsforceOver(session: OrgSession): Promise<Connection> {
  const { Connection } = await import('jsforce');
  const { instanceUrl } = await session.login();
  const connection = new Connection({ instanceUrl, version: session.apiVersion });
  const get = (asked: string | { url: string }): Promise<unknown> => {
    const url = typeof asked === 'string' ? asked : asked.url;
    return session.get(url.startsWith(instanceUrl) ? url.slice(instanceUrl.length) : url);
  };
  connection.request = get as Connection['request'];
  return connection;
}
