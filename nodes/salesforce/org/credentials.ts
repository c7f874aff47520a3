import { readCredentialsFile as readText } from '../../shared/credentials-file';
import { FlowError, messageOf } from '../../shared/errors';
import { isSecure } from '../../shared/http/secure';
import type { Secrets, Settings, Stored } from '../../shared/settings/settings';
import type { sfdcOrg } from '../sfdc-org.settings';
import { labelOf, say } from '../../shared/say';

/** The sfdc-org node's settings and secrets as the editor gives them. */
export type OrgConfig = Stored<typeof sfdcOrg>;
export type OrgSecrets = Secrets<typeof sfdcOrg>;
type OrgSettings = Settings<typeof sfdcOrg>;

/** What one of the four OAuth flows needs, complete. */
export type LoginGrant = { loginUrl: string; clientId: string } & (
  | { flow: 'password'; clientSecret: string; username: string; password: string }
  | { flow: 'client-credentials'; clientSecret: string }
  | { flow: 'jwt'; username: string; privateKey: string }
  | { flow: 'refresh-token'; refreshToken: string; clientSecret?: string }
);

/**
 * The grant that settings and secrets describe. `file` reads the JSON at credentialsPath anew each time, so
 * that a replaced secret is picked up by the next login. Throws NO_CREDENTIALS or, of a file,
 * INVALID_CREDENTIALS, naming what is missing.
 */
export async function readGrant(settings: OrgSettings): Promise<LoginGrant> {
  const { auth, credentialsPath } = settings;
  const found =
    auth === 'file' ? await readCredentialsFile(credentialsPath) : { flow: auth, values: settings };
  const { flow, values } = found;
  const where = auth === 'file' ? say`in ${credentialsPath}` : say`in the org`;
  const need = (name: string, value: string | undefined): string => {
    if (value !== undefined && value.trim() !== '') return value.trim();
    const why = say`The ${flow} login needs "${labelOf('sfdc-org', name)}" ${where}`;
    throw auth === 'file' ? invalid(why) : new FlowError('NO_CREDENTIALS', why, true);
  };

  // What is wrong with a file is said without what it holds.
  const loginUrl = values.loginUrl
    ? readLoginUrl(values.loginUrl, auth === 'file' ? where : undefined)
    : readLoginUrl(settings.loginUrl);
  const clientId = need('clientId', values.clientId);
  switch (flow) {
    case 'password':
      return {
        flow,
        loginUrl,
        clientId,
        clientSecret: need('clientSecret', values.clientSecret),
        username: need('username', values.username),
        password: need('password', values.password) + (values.securityToken?.trim() ?? ''),
      };
    case 'client-credentials':
      return { flow, loginUrl, clientId, clientSecret: need('clientSecret', values.clientSecret) };
    case 'jwt':
      return {
        flow,
        loginUrl,
        clientId,
        username: need('username', values.username),
        privateKey: need('privateKey', values.privateKey).replaceAll('\\n', '\n'),
      };
    case 'refresh-token':
      return {
        flow,
        loginUrl,
        clientId,
        refreshToken: need('refreshToken', values.refreshToken),
        clientSecret: values.clientSecret?.trim() || undefined,
      };
  }
}

/** What of it nobody may see: also parts of it, and the password with and without its token. */
export function secretsOf(values: OrgSecrets): string[] {
  const { clientSecret, password = '', securityToken = '', refreshToken, privateKey } = values;
  const found = [clientSecret, password, securityToken, password + securityToken, refreshToken, privateKey];
  return found.filter((secret) => secret !== undefined && secret.trim() !== '') as string[];
}

interface FileContent {
  flow: Exclude<OrgSettings['auth'], 'file'>;
  values: OrgSecrets & { username?: string; loginUrl?: string };
}

async function readCredentialsFile(path: string): Promise<FileContent> {
  if (path === '') throw invalid(say`The org logs in by a file, but no path of a credentials file is set`);
  let text: string;
  try {
    text = await readText(path);
  } catch (error) {
    throw invalid(say`The credentials file ${path} can't be read: ${messageOf(error)}`);
  }
  let json: Record<string, unknown>;
  try {
    json = { ...(JSON.parse(text) as object) };
  } catch {
    // The parser's message would quote the file, and the file holds secrets.
    throw invalid(say`The credentials file ${path} is not valid JSON`);
  }
  const get = (name: string) => (typeof json[name] === 'string' ? json[name] : undefined);
  const values = {
    clientId: get('client_id'),
    clientSecret: get('client_secret'),
    username: get('username'),
    password: get('password'),
    securityToken: get('security_token'),
    privateKey: get('private_key'),
    refreshToken: get('refresh_token'),
    loginUrl: get('login_url'),
  };
  const flow = values.privateKey
    ? 'jwt'
    : values.refreshToken
      ? 'refresh-token'
      : values.username || values.password
        ? 'password'
        : 'client-credentials';
  return { flow, values };
}

function readLoginUrl(text: string, where?: string): string {
  const given = text.trim();
  const shown = where ?? `"${given.replace(/[^/]*@/, '')}"`;
  const url = /^[\w.-]+$/.test(given) ? `https://${given}` : given;
  const parsed = URL.canParse(url) ? new URL(url) : undefined;
  if (parsed?.hostname.endsWith('.lightning.force.com')) {
    const myDomain = parsed.hostname.replace('.lightning.force.com', '.my.salesforce.com');
    throw invalid(say`The login URL ${shown} is the address of the user interface; use https://${myDomain}`);
  }
  if (parsed && isSecure(parsed)) {
    // An Experience Cloud site logs in below its path.
    return parsed.origin + parsed.pathname.replace(/\/+$/, '');
  }
  throw invalid(
    say`The login URL ${shown} is not an https URL; write for example https://acme.my.salesforce.com`,
  );
}

function invalid(message: string): FlowError {
  return new FlowError('INVALID_CREDENTIALS', message, true);
}
