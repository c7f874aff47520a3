/** Facts about the Pub/Sub API that nobody could confirm, and manners in which orgs differ. */
export interface PubSubSwitches {
  /** Objects selected for Change Data Capture; a topic of another one doesn't exist. */
  changeDataCapture: 'all' | readonly string[];
  /** How a topic that doesn't exist is refused: NOT_FOUND, or PERMISSION_DENIED as when its metadata can't be read. */
  unknownTopic: 'not found' | 'denied';
  /** Topics that the user may not see. */
  deniedTopics: readonly string[];
  /** What becomes of an event under an earlier schema of its topic: published, its own error, or the call's. */
  staleSchema: 'published' | 'event error' | 'call error';
  /** Events in a publish request before it is refused; 0 refuses none: 200 is advice. */
  publishEvents: number;
  /** Milliseconds without a request before a PublishStream is closed: 70 s in the proto, 1,800 s elsewhere. */
  publishIdleMs: number;
  /** Milliseconds without a FetchRequest before a subscription that has got all it asked for is closed. */
  fetchIdleMs: number;
  /** Milliseconds between empty responses of a subscription that waits; at most 270,000. */
  keepAliveMs: number;
  /** How long events are kept. */
  retentionMs: number;
  /** Bytes of a replay id: a big-endian number (8), and what else a server may put behind it. */
  replayIdBytes: number;
  /** Open streams go on when their session has ended; otherwise they end with it when something happens on them. */
  streamsOutliveSessions: boolean;
  /** The same change of several records in one transaction is one event with several record ids. */
  mergeChangeEvents: boolean;
  /** Long texts are sent as a unified diff where that is shorter. */
  textDiffs: boolean;
  /** What a bitmap list starts with when only parts of compound fields are in it: nothing, or an empty bitmap. */
  emptyBitmap: 'omitted' | 'sent';
  /** Changes in one transaction after which there are only GAP_OVERFLOW events. */
  overflowAfter: number;
  /** Objects whose changes come as gap events (GAP_CREATE …): ids, no data. */
  gapEvents: readonly string[];
  /** The first commit number; real ones may be above 2^53. */
  firstCommitNumber: string;
}

export const PUBSUB_SWITCHES: PubSubSwitches = {
  changeDataCapture: 'all',
  unknownTopic: 'not found',
  deniedTopics: [],
  staleSchema: 'event error',
  publishEvents: 0,
  publishIdleMs: 70_000,
  fetchIdleMs: 60_000,
  keepAliveMs: 270_000,
  retentionMs: 72 * 60 * 60_000,
  replayIdBytes: 8,
  streamsOutliveSessions: false,
  mergeChangeEvents: true,
  textDiffs: true,
  emptyBitmap: 'omitted',
  overflowAfter: 100_000,
  gapEvents: [],
  firstCommitNumber: '1721136551405445123',
};
