/** What is given up, as it goes to where it can be looked at. */
export interface DeadLetter {
  /** The same for what is given up twice (a crash in between): it is stored once. */
  id: string;
  payload: Uint8Array | string;
  /** What went wrong and where it came from, the most important first; names begin with `Jetforce-`. */
  headers: [name: string, value: string][];
  /** The sender's own, which go along as far as there is room. */
  others?: Iterable<[name: string, values: string[]]>;
}

/** A dead letter as it is kept. */
export interface StoredLetter {
  /** Where it is kept. */
  sequence: number;
  /** When it was, ISO 8601. */
  at: string;
  payload: Uint8Array;
  headers: ReadonlyMap<string, string[]>;
}

/** Where they are kept. `stream` undefined: no stream takes the subject. */
export interface LettersPlace {
  stream: string | undefined;
  stored: number;
}

export interface DeadLetters {
  readonly subject: string;
  /** Resolves when it is stored. Throws FlowError, and CLOSED when `signal` aborts. */
  put(letter: DeadLetter, signal: AbortSignal): Promise<void>;
  /** Waits for the connection; throws NO_DEAD_LETTER_STREAM where nothing takes them, CLOSED when `signal` aborts. */
  check(signal: AbortSignal): Promise<void>;
  /** Throws FlowError where that may not be looked at. */
  place(): Promise<LettersPlace>;
  /** The first one from a sequence on; undefined for none. Throws FlowError. */
  next(from: number): Promise<StoredLetter | undefined>;
  /** Throws FlowError; not for one that is gone already. */
  remove(sequence: number): Promise<void>;
  close(): Promise<void>;
}

/** What a config node offers that can keep dead letters, to nodes of rooms that don't know it: jetstream-server. */
export interface DeadLetterKeeper {
  /** Throws INVALID_SUBJECT for what nothing can be published to. */
  deadLetters(subject: string): DeadLetters;
}

export function headerOf({ headers }: StoredLetter, name: string): string {
  return headers.get(name)?.[0] ?? '';
}
