/** What is unconfirmed of Jira, and what tests turn on. */
export interface Switches {
  /** How far search is behind the issues. */
  indexLagMs: number;
  /** Search is behind some issues less than behind others: what changed later can be found first. */
  unevenLag: boolean;
  /** `/myself.timeZone`: what quoted times of JQL are read in, and what answers' times are written in. */
  timeZone: string;
  /** How exactly JQL compares epoch milliseconds. */
  epochPrecision: 'ms' | 'minute';
  /** Issues a page where fields beside id and key are asked for. */
  fieldsPage: number;
  /** A page of search is cut before what the caller can't see is left out: it can come short, or empty, and go on. */
  shortPages: boolean;
  /** How many answers still give the token that they were asked with as the next. */
  repeatTokens: number;
  /** An answer to a `maxResults` over the highest. */
  overLimit: 'refuse' | 'clamp';
  /** Projects a page of /project/search has at most. */
  projectPage: number;
  /** Pages of users are cut before those that were deleted are left out. */
  shortUserPages: boolean;
  /** Keys of projects, and ids of issues, that the caller can no longer see. */
  hiddenProjects: string[];
  hiddenIssues: string[];
  /** What a scoped token or one of OAuth may do. */
  scopes: string[];
  /** The caller may browse users. */
  browseUsers: boolean;
  /** How a 401 is written. */
  unauthorized: 'text' | 'html' | 'json';
  /** Failed logins after which a CAPTCHA keeps everybody with a password out; 0: never. */
  captchaAfter: number;
  /** Whether a 429 says when to come back. */
  retryAfter: boolean;
}

export const SWITCHES: Switches = {
  indexLagMs: 500,
  unevenLag: false,
  timeZone: 'Europe/Berlin',
  epochPrecision: 'ms',
  fieldsPage: 100,
  shortPages: true,
  repeatTokens: 0,
  overLimit: 'refuse',
  projectPage: 100,
  shortUserPages: true,
  hiddenProjects: [],
  hiddenIssues: [],
  scopes: ['read:jira-work', 'read:jira-user'],
  browseUsers: true,
  unauthorized: 'text',
  captchaAfter: 0,
  retryAfter: true,
};
