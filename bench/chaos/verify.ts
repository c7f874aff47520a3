import { titleOf, type Contact, type Event } from './load';

export interface DeadLetter {
  /** As it was published. */
  contacts: Contact[];
  /** Jetforce-Code. */
  code: string;
}

export interface Outcome {
  events: Event[];
  /** Contacts in the org. */
  records: Readonly<Record<string, unknown>>[];
  /** What was ever written: `writtenBy` of each record when it was committed. */
  written: ReadonlySet<string>;
  deadLetters: DeadLetter[];
  /** Code with which the node may give up an event that was good, because that is what it promises. */
  mayGiveUp?: string;
}

export interface Verdict {
  /** Events all records of which were written, and stand in the org as the last event about them says. */
  right: number;
  deadLetters: number;
  /** Records in the org that are there a second time. */
  duplicates: number;
  /** What is not as it must be, in words. */
  problems: string[];
}

/** Which event wrote which contact. */
export function writtenBy(record: { LastName?: unknown; Title?: unknown }): string {
  return `${String(record.LastName)} by ${String(record.Title)}`;
}

/** What has become of each event, and whether that is as it must be. */
export function verify({ events, records, written, deadLetters, mayGiveUp }: Outcome): Verdict {
  const problems: string[] = [];
  const dead = new Map<string, string>();
  for (const { contacts, code } of deadLetters) {
    const title = contacts[0]?.Title ?? '';
    if (dead.has(title)) problems.push(`${title} is a dead letter twice`);
    dead.set(title, code);
  }

  const inOrg = new Map<string, Readonly<Record<string, unknown>>>();
  let duplicates = 0;
  for (const record of records) {
    const name = String(record.LastName);
    if (inOrg.has(name)) duplicates++;
    inOrg.set(name, record);
  }
  if (duplicates > 0) problems.push(`${duplicates} records are in the org twice`);

  const given = events.filter(({ refused, number }) => !refused && !dead.has(titleOf(number)));
  const latest = new Map(given.flatMap((event) => event.contacts.map(({ LastName }) => [LastName, event])));
  const isRight = (contact: Contact, event: Event): boolean => {
    const last = latest.get(contact.LastName) ?? event;
    if (last === event)
      return (
        written.has(writtenBy(contact)) && differences(contact, inOrg.get(contact.LastName ?? '')) === ''
      );
    // One that comes again behind a newer one, without having been written before, leaves the newer state.
    return [event, last].some(({ number }) => written.has(writtenBy({ ...contact, Title: titleOf(number) })));
  };

  let right = 0;
  for (const event of events) {
    const title = titleOf(event.number);
    const code = dead.get(title);
    if (event.refused) {
      if (code === undefined) problems.push(`${title} can't be written and is no dead letter`);
      if (records.some((record) => record.Title === title)) problems.push(`${title} is partly in the org`);
    } else if (code !== undefined) {
      if (code !== mayGiveUp) problems.push(`${title} was given up: ${code}`);
    } else if (event.contacts.every((contact) => isRight(contact, event))) {
      right++;
    } else {
      const wrong = event.contacts.find((contact) => !isRight(contact, event)) as Contact;
      const what = written.has(writtenBy(wrong))
        ? differences(wrong, inOrg.get(wrong.LastName ?? ''))
        : 'was never written';
      problems.push(`${title}: ${String(wrong.LastName)} ${what}`);
    }
  }
  return { right, deadLetters: deadLetters.length, duplicates, problems };
}

function differences(contact: Contact, record: Readonly<Record<string, unknown>> | undefined): string {
  if (!record) return 'is not in the org';
  return Object.entries(contact)
    .filter(([field, value]) => record[field] !== value)
    .map(([field, value]) => `has ${field} ${brief(record[field])} instead of ${brief(value)}`)
    .join(', ');
}

function brief(value: unknown): string {
  return String(value).slice(0, 60);
}
