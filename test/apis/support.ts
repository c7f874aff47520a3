/** What tests of the simulated APIs share. */
import { type TestContext } from 'node:test';
import { startApi, type Api, type ApiOptions } from './api';
import { type ApiName } from './catalog';

/** An API of one test's own, closed with it. */
export async function apiFor(t: TestContext, name: ApiName, options?: ApiOptions): Promise<Api> {
  const api = await startApi(name, options);
  t.after(() => api.close());
  return api;
}

export interface Answer {
  status: number;
  headers: Headers;
  text: string;
  /** The body where it is JSON. */
  json: unknown;
}

/** A raw call with the API's token, for what its clients can't show. */
export async function call(
  api: Api,
  path: string,
  {
    method = 'GET',
    body,
    headers = {},
  }: { method?: string; body?: unknown; headers?: Record<string, string> } = {},
): Promise<Answer> {
  const response = await fetch(path.startsWith('http') ? path : api.baseUrl + path, {
    method,
    redirect: 'manual',
    headers: {
      Authorization: api.authorization,
      'User-Agent': 'tests',
      ...(body === undefined ? {} : { 'Content-Type': 'application/json' }),
      ...headers,
    },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  const text = await response.text();
  const isJson = /json/.test(response.headers.get('content-type') ?? '') && text !== '';
  return {
    status: response.status,
    headers: response.headers,
    text,
    json: isJson ? (JSON.parse(text) as unknown) : undefined,
  };
}

/** Control calls, as tests of other processes make them. */
export async function controlCall(api: Api, method: string, path: string, body?: unknown): Promise<Answer> {
  return call(api, `/_api/${path}`, { method, body });
}
