/** One thing that a connection test has looked at, in a sentence. */
export interface TestedPart {
  /** `ok`: it works. `warning`: it works, with something to know. `error`: it doesn't. */
  state: 'ok' | 'warning' | 'error';
  text: string;
}

/** What a connection test found: who is connected to what, then each part. */
export interface TestReport {
  message: string;
  parts?: TestedPart[];
}
