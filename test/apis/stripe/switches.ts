/** What is unconfirmed of Stripe, and what tests turn on. */
export interface Switches {
  /** How long after it happened an event is to be seen. */
  eventLagMs: number;
  /** An answer to a `limit` over 100. */
  overLimit: 'refuse' | 'clamp';
  /** The account's own API version: what events are written in, and answers without a Stripe-Version. */
  apiVersion: string;
  /** Collections (and `events`) that a restricted key may not read. */
  forbidden: string[];
  /** Whether a 429 says when to come back. */
  retryAfter: boolean;
  /** Calls at one time that are too many. */
  maxConcurrent: number;
}

export const SWITCHES: Switches = {
  eventLagMs: 500,
  overLimit: 'refuse',
  apiVersion: '2024-06-20',
  forbidden: [],
  retryAfter: false,
  maxConcurrent: 100,
};
