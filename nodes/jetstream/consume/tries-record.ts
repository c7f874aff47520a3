import { isSameDurable, type Memory, type Tried } from './memory';

/** What a consumer tells the others of its durable, and whoever comes after it. */
export interface TriesRecord {
  /** When the durable was made, ms epoch. */
  made: number;
  /** It puts messages into the flow side by side; not so one that was stopped in order, or has one in the flow alone. */
  open: boolean;
  /** Milliseconds after which the record is written again at the latest, while it is open. */
  beat: number;
  crashedUntil: number;
  fewUntil: number;
  tried: [sequence: number, timestamp: string, delivery: number, failures: number, crashes: number][];
}

/** A record as it is stored. `at`: when, by the clock of the server, ms epoch. */
export interface StoredRecord {
  subject: string;
  at: number;
  record: TriesRecord;
}

/** `most`: of the messages that were tried, the latest. */
export function recordOf(memory: Memory, open: boolean, beat: number, most = Infinity): TriesRecord {
  const { made, crashedUntil, fewUntil, counted } = memory;
  const latest = counted.size > most ? [...counted].slice(-most) : [...counted];
  const tried = latest.map(([sequence, { timestamp, delivery, failures, crashes }]) => [
    ...([sequence, timestamp, delivery, failures, crashes] as const),
  ]) as TriesRecord['tried'];
  return { made, open, beat, crashedUntil, fewUntil, tried };
}

/** Undefined for what is none: whoever has the right may write into the bucket. */
export function readRecord(text: string): TriesRecord | undefined {
  try {
    const said = JSON.parse(text) as Partial<TriesRecord> | null;
    const { made, open, beat, crashedUntil, fewUntil, tried } = said ?? {};
    const numbers = [made, beat, crashedUntil, fewUntil].every((value) => Number.isFinite(value));
    if (!numbers || typeof open !== 'boolean' || !Array.isArray(tried)) return undefined;
    return { ...(said as TriesRecord), tried: tried.filter(isEntry) };
  } catch {
    return undefined;
  }
}

function isEntry(entry: unknown): boolean {
  if (!Array.isArray(entry) || entry.length !== 5) return false;
  const [sequence, timestamp, ...counts] = entry as unknown[];
  return (
    Number.isSafeInteger(sequence) && typeof timestamp === 'string' && counts.every(Number.isSafeInteger)
  );
}

/**
 * Takes over what others have told. `crashed`: one of them has ended without a word; `over`: records that are not needed
 * any more once the own one holds what they told. `now` by the clock of the server. `sole`: nobody else can be at work.
 */
export function learnFrom(
  memory: Memory,
  others: readonly StoredRecord[],
  now: number,
  sole = false,
): { crashed: boolean; over: string[] } {
  let crashed = false;
  const over: string[] = [];
  for (const { subject, at, record } of others) {
    if (!isSameDurable(record.made, memory.made)) {
      if (record.made < memory.made) over.push(subject);
      continue;
    }
    memory.crashedUntil = Math.max(memory.crashedUntil, record.crashedUntil);
    memory.fewUntil = Math.max(memory.fewUntil, record.fewUntil);
    for (const [sequence, timestamp, delivery, failures, crashes] of record.tried) {
      const tried: Tried = { timestamp, delivery, failures, crashes, excused: 0, inARow: 0 };
      memory.learn(sequence, tried);
    }
    const dead = record.open && (sole || now - at > 2 * record.beat);
    crashed ||= dead;
    if (dead || !record.open) over.push(subject);
  }
  return { crashed, over };
}
