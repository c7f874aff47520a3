/** A process that logs in to Zendesk with a refresh token, asks for its tickets and ends. Its only argument is JSON. */
import { codeOf, messageOf } from '../../../../nodes/shared/errors';
import { refreshTokens } from '../../../../nodes/shared/http/refresh-tokens';
import { declarationOf } from '../../../../nodes/sync/providers/catalog';
import { RestClient } from '../../../../nodes/sync/providers/rest/client';
import type { Declaration } from '../../../../nodes/sync/providers/rest/declaration';

interface Settings {
  baseUrl: string;
  clientId: string;
  clientSecret: string;
  refreshToken: string;
  folder: string;
}

const { baseUrl, clientId, clientSecret, refreshToken, folder } = JSON.parse(
  process.argv[2] ?? '',
) as Settings;
const client = new RestClient({
  declaration: declarationOf('zendesk') as Declaration,
  values: { baseUrl, user: clientId, secret: clientSecret, token: refreshToken },
  budget: 100,
  refreshTokens: refreshTokens(folder, console.log),
});
client
  .ask({ ask: { get: '/tickets' } }, new AbortController().signal)
  .then(
    () => console.log('ok'),
    (error: unknown) => console.log(`${codeOf(error)} ${messageOf(error)}`),
  )
  .finally(() => client.close());
