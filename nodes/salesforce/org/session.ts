import { FlowError, codeOf, messageOf } from '../../shared/errors';
import { jsonIsTooDeep, parseJson, stringifyJson } from '../../shared/json';
import { Secrets } from '../../shared/secrets';
import { inCall } from '../../shared/tracing/current';
import { parseDeployed, type Settings } from '../../shared/settings/settings';
import {
  dailyCalls,
  isNotFound,
  judgeAnswer,
  moved,
  noSuchVersion,
  outageOf,
  restError,
  type OrgAnswer,
} from './answer';
import { logIn, type Grant } from './auth';
import { ApiBudget } from './budget';
import { readGrant, secretsOf, type OrgConfig, type OrgSecrets } from './credentials';
import { Availability, type ProbePauses } from './availability';
import { Describes } from './describes';
import { passes } from './error-codes';
import { HttpClient, type HttpAnswer, type HttpRequest } from './http';
import { OrgOutage } from './outage';
import type { RefreshTokens } from '../../shared/http/refresh-tokens';
import { strikeErrors } from './struck';
import { sfdcOrg } from '../sfdc-org.settings';
import { say } from '../../shared/say';

export interface OrgRequest {
  /** Travels as JSON. */
  body?: unknown;
  /** Travels as it stands, instead of a body; its content type is to be among the headers. */
  text?: string;
  headers?: Record<string, string>;
  /** Milliseconds for each attempt; that of the session unless told. */
  timeout?: number;
  /** Called right before it goes out, each time: what it throws keeps it here. */
  before?: (() => void) | undefined;
  /** Sends it, instead of the session's own client. */
  send?: (request: HttpRequest) => Promise<HttpAnswer>;
  /** The body of a 2xx answer of the type that `accept` names is an AsyncIterator of its text. Aborting lets go of it. */
  parts?: AbortSignal;
}

export interface SessionOptions {
  config: OrgConfig;
  secrets: OrgSecrets;
  /** Keeps a refresh token that replaced the one configured, and gives it back after a restart. */
  refreshTokens?: RefreshTokens;
  /** Milliseconds to wait for an answer; 120 s unless told. */
  timeout?: number;
  /** Other pauses between probes, for tests. */
  pauses?: ProbePauses;
}

const REQUEST_TIMEOUT = 120_000;
/** Tells all at once: host, login, version, limit, and what is left of the budget. */
const PROBE = '/limits';
const PROBE_TIMEOUT = 20_000;

/**
 * One session with one org, shared by everything that talks to it. Logs in when first needed, in single
 * flight; a 401 or a redirect leads to one new login and one repetition, never more.
 */
export class OrgSession {
  readonly settings: Settings<typeof sfdcOrg>;
  readonly apiVersion: string;
  readonly budget: ApiBudget;
  readonly availability: Availability;
  /** To be struck from whatever is said of this org. */
  readonly secrets = new Secrets();
  /** Of the org's objects, as far as they were needed. */
  readonly describes = new Describes((path) => this.describe(path));
  private readonly http = new HttpClient();
  /** Requests that have no answer yet. */
  underWay = 0;
  private readonly listeners = new Set<() => void>();
  private grant: Grant | undefined;
  private loggingIn: Promise<Grant> | undefined;
  /** The org that was last logged in to has shown that it has the API version. */
  private versionSeen = false;

  constructor(private readonly options: SessionOptions) {
    this.settings = parseDeployed(sfdcOrg, { ...options.config, ...options.secrets });
    this.apiVersion = this.settings.apiVersion;
    this.budget = new ApiBudget(this.settings.apiBudget);
    this.availability = new Availability(
      () => this.probe(),
      () => this.changed(),
      options.pauses,
    );
  }

  /** Of the last login; undefined before the first. */
  get accessToken(): string | undefined {
    return this.grant?.accessToken;
  }
  get instanceUrl(): string | undefined {
    return this.grant?.instanceUrl;
  }
  get organizationId(): string | undefined {
    return this.grant?.organizationId;
  }
  get userId(): string | undefined {
    return this.grant?.userId;
  }

  /** Logs in beforehand, so that what is wrong shows before the first message comes. */
  connect(): void {
    this.login().catch((error: unknown) => error instanceof OrgOutage && this.availability.begin(error));
  }

  /** Called after each login, and whenever an outage begins, changes or ends; returns the way to stop listening. */
  onChange(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => void this.listeners.delete(listener);
  }

  /** The session, logged in. Throws OrgOutage: `login` when refused, `unreachable` when nobody answers. */
  async login(): Promise<Grant> {
    return this.grant ?? this.newLogin();
  }

  /**
   * A login that replaces the one with `staleToken`, which the org no longer takes. Where somebody else has
   * replaced it already that one is given.
   */
  async relogin(staleToken: string): Promise<Grant> {
    if (this.grant && this.grant.accessToken !== staleToken) return this.grant;
    this.grant = undefined;
    return this.newLogin();
  }

  /**
   * One request below /services/data/vXX.X (or at `path` as it stands if it starts with /services/). Gives
   * every answer that has a status, except 401 and redirects: after one new login, which may name another instance, it
   * is asked once more there, and then they are an outage. Redirects are never followed with the token. Throws
   * OrgOutage. Never repeats anything but a request that was refused so.
   */
  async request(method: string, path: string, request: OrgRequest = {}): Promise<OrgAnswer> {
    const answer = await this.authorized(method, path, request);
    if (path.startsWith('/services/')) return answer;
    if (answer.status < 300) this.versionSeen = true;
    else if (!this.versionSeen && isNotFound(answer)) await this.mustHaveVersion(path, answer);
    return answer;
  }

  private async authorized(method: string, path: string, request: OrgRequest): Promise<OrgAnswer> {
    const grant = await this.login();
    const answer = await this.send(grant, method, path, request);
    const verdict = judgeAnswer(answer);
    if (verdict !== 'session' && verdict !== 'moved') return answer;
    const renewed = await this.relogin(grant.accessToken);
    if (verdict === 'moved' && renewed.instanceUrl === grant.instanceUrl) throw moved(answer);
    const repeated = await this.send(renewed, method, path, request);
    const again = judgeAnswer(repeated);
    if (again === 'moved') throw moved(repeated);
    if (again !== 'session') return repeated;
    const { errorCode, message } = restError(repeated);
    throw new OrgOutage(
      'login',
      errorCode,
      say`The org refuses a session it has just granted (${errorCode}: ${message}); check that the user may use the API`,
      false,
    );
  }

  /** Where nothing is found, it may be the version that isn't there: throws OrgOutage then. */
  private async mustHaveVersion(path: string, found: OrgAnswer): Promise<void> {
    const answer = path === PROBE ? found : await this.authorized('GET', PROBE, { timeout: PROBE_TIMEOUT });
    this.versionSeen = answer.status < 300;
    if (!isNotFound(answer)) return;
    const { errorCode, message } = restError(answer);
    throw noSuchVersion(errorCode, `(${this.dataPath}, ${answer.status} ${errorCode}: ${message})`);
  }

  /** GETs the body of a 2xx answer. Throws OrgOutage, or FlowError with the org's own code. */
  async get<T>(path: string, request: OrgRequest = {}): Promise<T> {
    const answer = await this.request('GET', path, request);
    const outage = outageOf(answer, false);
    if (outage) throw outage;
    if (answer.status >= 200 && answer.status < 300) return answer.body as T;
    const { errorCode, message } = restError(answer);
    throw new FlowError(
      errorCode,
      say`The org refused GET ${path} (${answer.status} ${errorCode}): ${message}`,
      passes(errorCode),
    );
  }

  /** Where the versioned REST API begins, without the host: "/services/data/v65.0". */
  get dataPath(): string {
    return `/services/data/v${this.apiVersion}`;
  }

  /** Requests under way fail; nothing may be asked afterwards. */
  close(): void {
    this.availability.close();
    this.http.close();
  }

  private async send(grant: Grant, method: string, path: string, request: OrgRequest): Promise<OrgAnswer> {
    const body = request.body === undefined ? request.text : stringifyJson(request.body);
    request.before?.();
    this.underWay++;
    const send = request.send ?? ((http: HttpRequest) => this.http.send(http));
    const whole = path.startsWith('/services/') ? path : this.dataPath + path;
    const exchange = (): Promise<HttpAnswer> =>
      send({
        method,
        url: grant.instanceUrl + whole,
        headers: {
          authorization: `Bearer ${grant.accessToken}`,
          ...(body !== undefined && { 'content-type': 'application/json; charset=utf-8' }),
          ...request.headers,
        },
        body,
        timeout: request.timeout ?? this.options.timeout ?? REQUEST_TIMEOUT,
        parts: request.parts,
      })
        .catch((error: unknown) => {
          throw this.secrets.inError(error);
        })
        .finally(() => this.underWay--);
    const { status, headers, text, parts } = await inCall('Salesforce', method, whole, exchange);
    this.budget.observe(headers['sforce-limit-info']);
    return { status, headers, body: parts ?? strikeErrors(this.secrets, status, text, parseBody) };
  }

  private newLogin(): Promise<Grant> {
    this.loggingIn ??= this.performLogin().finally(() => (this.loggingIn = undefined));
    return this.loggingIn;
  }

  private async performLogin(): Promise<Grant> {
    const { refreshTokens } = this.options;
    this.versionSeen = false;
    try {
      const grant = await readGrant(this.settings).catch((error: unknown) => {
        throw new OrgOutage('login', codeOf(error), messageOf(error), false, { cause: error });
      });
      this.secrets.add(...secretsOf(this.settings), ...secretsOf(grant));
      const login = (refreshToken?: string) =>
        logIn(
          this.http,
          grant.flow === 'refresh-token' && refreshToken ? { ...grant, refreshToken } : grant,
          this.secrets,
        );
      this.grant =
        grant.flow === 'refresh-token' && refreshTokens
          ? await refreshTokens.use(grant, login)
          : await login();
    } catch (error) {
      throw this.secrets.inError(error);
    }
    this.changed();
    return this.grant;
  }

  private changed(): void {
    for (const listener of [...this.listeners]) listener();
  }

  private async probe(): Promise<void> {
    const answer = await this.request('GET', PROBE, { timeout: PROBE_TIMEOUT });
    const outage = outageOf(answer, false);
    if (outage) throw outage;
    this.budget.usage = dailyCalls(answer.body) ?? this.budget.usage;
    if (this.budget.spent()) throw this.budgetOutage();
  }

  /** Not while the org is not to be asked. */
  private async describe(path: string): Promise<unknown> {
    const { current } = this.availability;
    if (current) throw new OrgOutage(current.reason, current.code, current.message, false);
    if (this.budget.spent(this.underWay)) throw this.budgetOutage();
    return this.get(path, { timeout: PROBE_TIMEOUT });
  }

  budgetOutage(): OrgOutage {
    const { used = 0, max = 0 } = this.budget.usage ?? {};
    return new OrgOutage(
      'budget',
      'API_BUDGET_SPENT',
      say`The org has used ${used} of its ${max} daily API calls, and this pack may bring it to ${this.budget.share} % only; wait until older calls fall out of the last 24 hours, or raise the budget`,
      false,
    );
  }
}

function parseBody(text: string): unknown {
  try {
    if (text === '') return undefined;
    const body = parseJson(text);
    // Messages carry what is read on, and Node-RED doesn't survive what is too deep: it is as good as no JSON.
    return jsonIsTooDeep(text, body) ? text : body;
  } catch {
    return text;
  }
}
