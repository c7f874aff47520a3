import type { WriteMessage, Write } from './operations';

interface Place {
  /** Names of the records it writes. */
  names: Set<string>;
  before: Set<WriteMessage>;
  behind: Set<WriteMessage>;
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
    const names = new Set(
      writes.flatMap(({ keys }) => keys.filter(({ write }) => write).map(({ name }) => name)),
    );
    if (names.size === 0) return;
    const place: Place = { names, before: new Set(), behind: new Set() };
    for (const name of names) {
      const earlier = this.last.get(name);
      if (earlier) {
        place.before.add(earlier);
        this.places.get(earlier)?.behind.add(message);
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
    return (this.places.get(message)?.before.size ?? 0) === 0;
  }

  /** The message is answered; gives those that were behind it. */
  remove(message: WriteMessage): Iterable<WriteMessage> {
    const place = this.places.get(message);
    if (!place) return [];
    this.places.delete(message);
    for (const name of place.names) if (this.last.get(name) === message) this.last.delete(name);
    for (const later of place.behind) this.places.get(later)?.before.delete(message);
    return place.behind;
  }
}
