/** What is unconfirmed of HubSpot, and what tests turn on. */
export interface Switches {
  /** How far search is behind the records. */
  indexLagMs: number;
  /** An answer to a `limit` over the highest. */
  overLimit: 'refuse' | 'clamp';
  /** How `hs_object_id` compares and sorts in search. */
  idOrder: 'numeric' | 'text';
  maxFilterGroups: number;
  maxFiltersPerGroup: number;
  /** What a property that was cleared holds. */
  cleared: '' | null;
  /** A page of a list is cut before what isn't to be seen is left out: it can come short, or empty, and go on. */
  shortPages: boolean;
  /** A record counts as changed when something is associated with it, or isn't any more. */
  associationsTouch: boolean;
  /** What belongs to a record comes in another order each time. */
  associationsShuffled: boolean;
  /** Characters of path and query that are a 414. */
  maxUrl: number;
  /** Scopes that the token lacks. */
  missingScopes: string[];
  /** A token of OAuth: no daily headers. */
  oauth: boolean;
  /** Whether a 429 says when to come back. */
  retryAfter: boolean;
  /** Which field of a 429 names it. */
  rateLimitBody: 'errorType' | 'category';
}

export const SWITCHES: Switches = {
  indexLagMs: 500,
  overLimit: 'refuse',
  idOrder: 'numeric',
  maxFilterGroups: 5,
  maxFiltersPerGroup: 6,
  cleared: '',
  shortPages: true,
  associationsTouch: false,
  associationsShuffled: false,
  maxUrl: 8192,
  missingScopes: [],
  oauth: false,
  retryAfter: false,
  rateLimitBody: 'errorType',
};
