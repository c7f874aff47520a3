/** What is unconfirmed of GitHub, and what tests turn on. */
export interface Switches {
  /** The status under which limits refuse. */
  rateStatus: 403 | 429;
  /** Whether a secondary limit says when to come back. */
  secondaryRetryAfter: boolean;
  maxConcurrent: number;
  /** Issues page by cursors in `Link`; otherwise by numbers. */
  issueCursors: boolean;
  /** From the page on that ends at so many rows, `page` is refused for issues, however few there are. */
  pageLimit: number;
  /** Rows a page from which the gateway gives up with a page of its own; 0: never. */
  heavyPage: number;
  /** How far search is behind. */
  searchLagMs: number;
  /** What the address of a deleted issue answers. */
  deletedIssue: 404 | 410;
  /** Repositories (`owner/name`) that the token can't see. */
  hidden: string[];
  /** Collections (`owner/name:issues`) that the token may not read. */
  forbidden: string[];
  /** The token is an App installation's. */
  installation: boolean;
  /** How long a token of the App's installation lasts. */
  installationMs: number;
  /** The App's installation is suspended. */
  suspended: boolean;
  /** Drafts of releases are shown: the token may push. */
  push: boolean;
}

export const SWITCHES: Switches = {
  rateStatus: 403,
  secondaryRetryAfter: true,
  maxConcurrent: 100,
  issueCursors: true,
  pageLimit: 10_000,
  heavyPage: 0,
  searchLagMs: 500,
  deletedIssue: 410,
  hidden: [],
  forbidden: [],
  installation: false,
  installationMs: 3_600_000,
  suspended: false,
  push: true,
};
