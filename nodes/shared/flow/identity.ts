/**
 * Which delivery a message belongs to is written on the message itself, as a symbol: it survives the clone at a
 * fan-out and never shows in JSON. It is written on copies only, because a node may keep what it has sent (in
 * context, in a queue, as a template) and send it again for another message.
 */
const TOKEN = Symbol('jetforce.delivery');

export type Tracked = object & {
  [TOKEN]?: string;
  _msgid?: unknown;
  parts?: { id?: unknown };
  jetstream?: { token?: unknown };
  salesforce?: { token?: unknown };
};

export function tokenOf(msg: Tracked): string | undefined {
  try {
    return msg[TOKEN];
  } catch {
    // A proxy that is revoked, say: whatever a function node makes is nobody's.
    return undefined;
  }
}

/** Writes it on a message that nobody else holds; does nothing where that can't be written on (frozen, a proxy). */
export function writeToken(msg: Tracked, token: string): void {
  try {
    msg[TOKEN] = token;
  } catch {
    // Reflect.set(), which says so instead of throwing, takes four times as long.
  }
}

/** The same message as an object of its own; throws what a getter of it throws. */
export function labelled(msg: Tracked, token: string): Tracked {
  const copy = Object.assign(Object.create(Object.getPrototypeOf(msg) as object) as Tracked, msg);
  writeToken(copy, token);
  return copy;
}

/** What else than the token on it tells whose a message is, the most telling first. */
export function* names(msg: Tracked): Iterable<string> {
  const { jetstream, salesforce, _msgid, parts } = msg;
  for (const name of [jetstream?.token, salesforce?.token, _msgid, parts?.id])
    if (typeof name === 'string') yield name;
}
