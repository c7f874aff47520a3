/** Letters of the longest name that is compared: Salesforce's own are far below. */
const LONGEST = 255;

/** The candidate that `name` was most likely meant to be, without regard to case; undefined if none is close. */
export function nearest(name: string, candidates: Iterable<string>): string | undefined {
  if (name.length > LONGEST) return undefined;
  const wanted = name.toLowerCase();
  let best: string | undefined;
  let least = Math.max(2, Math.ceil(wanted.length / 2));
  for (const candidate of candidates) {
    const known = candidate.toLowerCase();
    // What is cut off at an end ("Status" of "Status__c") is nearer than as many other letters.
    const cutOff = known.startsWith(wanted) || wanted.startsWith(known);
    if (known.length > LONGEST) continue;
    // No fewer letters than one is longer than the other.
    if (!cutOff && Math.abs(known.length - wanted.length) >= least) continue;
    const distance = cutOff ? 1 : editDistance(wanted, known);
    if (distance < least) {
      least = distance;
      best = candidate;
    }
  }
  return best;
}

/** Letters to insert, remove or replace. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(replaced, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}
