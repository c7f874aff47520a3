import { github } from './github';
import { hubspot } from './hubspot';
import { jira } from './jira';
import type { Declaration } from './rest/declaration';
import { stripe } from './stripe';
import { zendesk } from './zendesk';

/** The APIs that are declared: a new one is a file, and a line here. */
const DECLARED = { hubspot, stripe, zendesk, jira, github };

type DeclaredName = keyof typeof DECLARED;
export type ProviderName = 'salesforce' | DeclaredName | 'custom' | 'flow';

export const APIS: Readonly<Record<DeclaredName, Declaration>> = DECLARED;

/** What they are called, in any language. */
export const LABELS: Readonly<Record<string, string>> = {
  salesforce: 'Salesforce',
  ...Object.fromEntries(Object.values(APIS).map(({ name, label }) => [name, label])),
};

/** What an api-source can be set to. */
export const PROVIDERS: readonly ProviderName[] = [
  'salesforce',
  ...(Object.keys(DECLARED) as DeclaredName[]),
  'custom',
  'flow',
];

/** The declaration of an API by its name; undefined for what isn't declared here. */
export function declarationOf(name: string): Declaration | undefined {
  return Object.hasOwn(APIS, name) ? APIS[name as DeclaredName] : undefined;
}

/** What an API asks for to be let in; undefined where its declaration doesn't say, or isn't right (yet). */
export function loginOf(provider: string, definition: string): Declaration['login'] {
  if (provider !== 'custom') return declarationOf(provider)?.login;
  try {
    const { login } = JSON.parse(definition) as Partial<Declaration>;
    return typeof login === 'object' && login !== null ? login : undefined;
  } catch {
    return undefined;
  }
}
