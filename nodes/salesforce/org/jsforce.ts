import type { Connection } from 'jsforce';
import type { OrgSession } from './session';

/**
 * jsforce bound to the session's present login: for describe, query and bulk, where its helpers are worth it.
 * Loaded on first use (it takes 200 ms). It must not log in by itself: its refresh fails for client credentials
 * and JWT and repeats for ever where the org keeps answering 401. Writing has its own path (http.ts), because
 * jsforce opens a connection for each request and hides the status of an answer.
 */
export async function withJsforce<T>(
  session: OrgSession,
  use: (connection: Connection) => Promise<T>,
): Promise<T> {
  const jsforce = await import('jsforce');
  const attempt = async (grant: { instanceUrl: string; accessToken: string }) => {
    const { instanceUrl, accessToken } = grant;
    const connection = new jsforce.Connection({ instanceUrl, accessToken, version: session.apiVersion });
    try {
      return await use(connection);
    } finally {
      const usage = connection.limitInfo.apiUsage;
      if (usage) session.budget.usage = { used: usage.used, max: usage.limit };
    }
  };
  const grant = await session.login();
  try {
    return await attempt(grant);
  } catch (error) {
    if ((error as { errorCode?: string }).errorCode !== 'INVALID_SESSION_ID') throw error;
    return attempt(await session.relogin(grant.accessToken));
  }
}
