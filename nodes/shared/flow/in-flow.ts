import { flowTracker } from './completion';
import type { Command, Hold } from './delivery';

/**
 * A message that waits for something outside the flow (an org out of reach, a spent API budget) is not hung:
 * stops the clock that `processingLimit` bounds, until the returned function is called. Does nothing for a
 * message that no consumer holds.
 */
export function pauseProcessing(msg: object): () => void {
  const delivery = flowTracker.find(msg);
  if (!delivery?.isJoined) return delivery?.pause() ?? nothing;
  const resumes = Array.from(delivery.together(), (each) => each.pause());
  return () => resumes.forEach((resume) => resume());
}

/**
 * A node gathers the message with others, so that its requests are full: until the returned function is called it takes
 * no place among those that are worked on. Does nothing for a message that no consumer holds.
 */
export function gatherMessage(msg: object): () => void {
  return flowTracker.find(msg)?.gather() ?? nothing;
}

/** Under which all that the message was put together of may be worked on; undefined where that is for good. */
export function holdOf(msg: object): Hold | undefined {
  const delivery = flowTracker.find(msg);
  if (!delivery?.isJoined) return delivery?.owner.hold;
  const holds = new Set<Hold>();
  for (const { owner } of delivery.together()) if (owner.hold) holds.add(owner.hold);
  const [first] = holds;
  if (holds.size < 2) return first;
  return {
    get held() {
      return [...holds].every(({ held }) => held);
    },
  };
}

/** Until when, by now(), what a process that died sent of it last may be carried out; undefined: that is over. */
export function inheritedUntil(msg: object): number | undefined {
  const delivery = flowTracker.find(msg);
  if (!delivery?.isJoined) return delivery?.owner.inheritedUntil;
  let latest: number | undefined;
  for (const { owner } of delivery.together()) {
    const until = owner.inheritedUntil;
    if (until !== undefined) latest = Math.max(latest ?? until, until);
  }
  return latest;
}

/** What `jetstream-ack` does, to every message that was put together as `msg`: false if no unsettled delivery stands behind `msg`. */
export function commandDelivery(msg: object, command: Command): boolean {
  const delivery = flowTracker.find(msg);
  // Which of several it belongs to can't be told: none is settled on a guess, though each may be refused or extended.
  if (!delivery || ((command.action === 'ack' || command.action === 'term') && delivery.isGuess()))
    return false;
  // All of them first: the first that is settled parts from the others.
  for (const { owner } of [...delivery.together()]) owner.command(command);
  return true;
}

function nothing(): void {
  // Nobody waits.
}
