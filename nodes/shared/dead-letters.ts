/** What is given up, as it goes to where it can be looked at. */
export interface DeadLetter {
  /** The same for what is given up twice (a crash in between): it is stored once. */
  id: string;
  payload: Uint8Array | string;
  /** What went wrong and where it came from, the most important first; names begin with `Jetforce-`. */
  headers: [name: string, value: string][];
}

export interface DeadLetters {
  /** Resolves when it is stored. Throws FlowError, and CLOSED when `signal` aborts. */
  put(letter: DeadLetter, signal: AbortSignal): Promise<void>;
  close(): Promise<void>;
}

/** What a config node offers that can keep dead letters, to nodes of rooms that don't know it: jetstream-server. */
export interface DeadLetterKeeper {
  /** Throws INVALID_SUBJECT for what nothing can be published to. */
  deadLetters(subject: string): DeadLetters;
}
