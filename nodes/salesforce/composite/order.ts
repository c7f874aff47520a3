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

  /** Those of the messages that are over and whose turn it is, and what waited for them: each is then answered. */
  answerable(messages: Iterable<WriteMessage>): WriteMessage[] {
    const looked = Array.from(messages);
    const answerable: WriteMessage[] = [];
    for (const message of looked) {
      if (message.open > 0 || !this.isFirst(message)) continue;
      answerable.push(message);
      for (const later of this.remove(message)) looked.push(later);
    }
    return answerable;
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
  const names: string[] = [];
  for (const { keys } of writes) for (const { name, write } of keys) if (write) names.push(name);
  return names.length > 1 ? Array.from(new Set(names)) : names;
}
