/**
 * A message that waits for something outside the flow (an org out of reach, a spent API budget) must not be
 * given up as hung. Whoever makes it wait says so here; jetstream-in and sfdc-event-in hold the clock that
 * `processingLimit` bounds. Works on any message object and does nothing for one that no consumer holds.
 */
type Pause = () => () => void;

const NOTHING = (): void => undefined;
const clocks = new WeakMap<object, Pause>();

/** Called by whoever holds the delivery behind `msg`. */
export function setProcessingClock(msg: object, pause: Pause): void {
  clocks.set(msg, pause);
}

/** Stops the clock of the delivery behind `msg` until the returned function is called (once or more). */
export function pauseProcessing(msg: object): () => void {
  return clocks.get(msg)?.() ?? NOTHING;
}
