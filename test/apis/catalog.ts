import { github } from './github/github';
import { hubspot } from './hubspot/hubspot';
import { jira } from './jira/jira';
import { stripe } from './stripe/stripe';
import { zendesk } from './zendesk/zendesk';
import { type SimulationFactory } from './frame/simulation';

/** A simulated API is a line here and a folder beside. */
export const CATALOG = { hubspot, stripe, github, zendesk, jira } satisfies Record<string, SimulationFactory>;

export type ApiName = keyof typeof CATALOG;

export function isApiName(name: string): name is ApiName {
  return Object.hasOwn(CATALOG, name);
}
