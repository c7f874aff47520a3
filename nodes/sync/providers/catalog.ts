/** What an api-source can be set to. */
export const PROVIDERS = [
  'salesforce',
  'hubspot',
  'stripe',
  'zendesk',
  'jira',
  'github',
  'custom',
  'flow',
] as const;

export type ProviderName = (typeof PROVIDERS)[number];

/** Those that this version can read. */
export const READY: readonly ProviderName[] = ['salesforce', 'flow'];
