import { FlowError } from '../../../shared/errors';
import { isSecure } from '../../../shared/http/secure';
import type { Ask, Declaration } from './declaration';
import { fill, fillPath, type Values } from './template';
import { say } from '../../../shared/say';

type Plain = string | number | boolean;

/** The address that paths are added to. Throws INVALID_SOURCE in words. */
export function apiUrl({ label, baseUrl, base = '', example }: Declaration, typed: unknown): string {
  const given = typeof typed === 'string' && typed.trim() !== '' ? typed.trim() : baseUrl;
  if (given === undefined) throw invalid(say`${label} needs the base URL of your account`);
  if (example !== undefined && /^\w[\w-]*$/.test(given) && given !== 'localhost')
    throw invalid(say`The base URL "${given}" of ${label} is only a name; write for example ${example}`);
  const text = /^[\w.-]+$/.test(given) ? `https://${given}` : given;
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (!url || !/^https?:$/.test(url.protocol))
    throw invalid(say`The base URL "${given}" of ${label} is no URL`);
  if (!isSecure(url))
    throw invalid(say`The base URL of ${label} is not https: the token would travel in the clear`);
  const path = url.pathname.replace(/\/+$/, '');
  return url.origin + (base !== '' && path.endsWith(base) ? path.slice(0, -base.length) : path);
}

export function requestUrl(declaration: Declaration, ask: Ask, values: Values): string {
  const { base = '', lists = 'repeat' } = declaration;
  const path = fillPath(ask.get ?? ask.post ?? '', values);
  const url = new URL(/^https?:/.test(path) ? path : `${String(values.baseUrl)}${base}${path}`);
  const first = values.next === undefined ? ask.first : undefined;
  const query = fill({ ...ask.query, ...first }, values) as Record<string, Plain | Plain[]>;
  for (const [name, value] of Object.entries(query)) {
    if (!Array.isArray(value)) url.searchParams.append(name, String(value));
    else if (lists === 'comma') url.searchParams.append(name, value.join(','));
    else
      for (const each of value)
        url.searchParams.append(lists === 'brackets' ? `${name}[]` : name, String(each));
  }
  return url.href;
}

function invalid(message: string): FlowError {
  return new FlowError('INVALID_SOURCE', message, false);
}
