import type { WriteMessage, Write } from './operations';

interface Place {
  /** Names of the records it writes. */
  names: readonly string[];
  /** Most messages have none, and there may be very many of them. */
  before?: Set<WriteMessage>;
  behind?: Set<WriteMessage>;
}

/**
 * Messages that write one record are answered in the order in which they came. Were a later one acknowledged while
 * an earlier one still waits for its other records, a crash would bring back the earlier one alone, and with it
 * the older state.
 */
export class MessageOrder {
  private readonly last = new Map<string, WriteMessage>();
  private readonly places = new Map<WriteMessage, Place>();

  add(message: WriteMessage, writes: readonly Write[]): void {
    const names = namesOf(writes);
    if (names.length === 0) return;
    const place: Place = { names };
    for (const name of names) {
      const earlier = this.last.get(name);
      if (earlier) {
        (place.before ??= new Set()).add(earlier);
        const ahead = this.places.get(earlier);
        if (ahead) (ahead.behind ??= new Set()).add(message);
      }
      this.last.set(name, message);
    }
    this.places.set(message, place);
  }

  /** Those of the messages that are over and whose turn it is, each of which is then answered, and what waited for it. */
  *answerable(messages: Iterable<WriteMessage>): Generator<WriteMessage> {
    const queue = new Set(messages);
    for (const message of queue) {
      if (message.open > 0 || !this.isFirst(message)) continue;
      yield message;
      for (const later of this.remove(message)) {
        // A Set goes round once more for what is added anew.
        queue.delete(later);
        queue.add(later);
      }
    }
  }

  isFirst(message: WriteMessage): boolean {
    return (this.places.get(message)?.before?.size ?? 0) === 0;
  }

  /** The message is answered; gives those that were behind it. */
  remove(message: WriteMessage): Iterable<WriteMessage> {
    const place = this.places.get(message);
    if (!place) return [];
    this.places.delete(message);
    for (const name of place.names) if (this.last.get(name) === message) this.last.delete(name);
    const { behind = [] } = place;
    for (const later of behind) this.places.get(later)?.before?.delete(message);
    return behind;
  }
}

function namesOf(writes: readonly Write[]): readonly string[] {
  const names = new Set<string>();
  for (const { keys } of writes) for (const { name, write } of keys) if (write) names.add(name);
  return Array.from(names);
}
