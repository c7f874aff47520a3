/** What is unconfirmed of Zendesk, and what tests turn on. */
export interface Switches {
  /** What exports hold back, and how old `start_time` has to be: a minute, five in older texts. */
  recentMs: number;
  /** A page of a time-based export goes on to the end of its last second, or is cut within it. */
  ties: 'whole' | 'cut';
  /** `after_cursor` of a page of an export that has no rows. */
  emptyCursor: 'kept' | 'null';
  /** How long a cursor of an export is good for; 0: for ever. */
  cursorLivesMs: number;
  /** An answer to `start_time` and `cursor` together. */
  bothStarts: 'refuse' | 'cursor';
  /** An answer to a size over the highest. */
  overLimit: 'refuse' | 'clamp';
  /** `links.next` of the last page of a list; `meta.has_more` is false in any case. */
  lastNext: 'null' | 'link';
  /** Rows a page from which the gateway gives up (504); 0: never. */
  heavyPage: number;
  /** What exports have of a ticket or user that was permanently deleted: a scrubbed row, or none. */
  purged: 'scrubbed' | 'gone';
  /** A ticket that was merged into another bears the tag closed_by_merge. */
  mergeTag: boolean;
  /** Exports are for admins. */
  role: 'admin' | 'agent';
  /** For how long a refresh token that was replaced is still good: at Zendesk's not at all, at Atlassian's ten minutes. */
  graceMs: number;
  /** Whether the account still takes API tokens. */
  apiTokens: boolean;
}

export const SWITCHES: Switches = {
  recentMs: 60_000,
  ties: 'whole',
  emptyCursor: 'kept',
  cursorLivesMs: 0,
  bothStarts: 'refuse',
  overLimit: 'refuse',
  lastNext: 'null',
  heavyPage: 0,
  purged: 'scrubbed',
  mergeTag: true,
  role: 'admin',
  graceMs: 0,
  apiTokens: true,
};
