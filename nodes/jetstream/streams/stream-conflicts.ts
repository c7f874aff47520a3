import { streamSettings, type StreamSettings } from './stream.settings';
import { covers } from './subjects';

/** What a node asks of a stream that it provisions. */
export interface StreamDemand {
  settings: Partial<StreamSettings>;
  narrow: boolean;
}

type Name = keyof StreamSettings;

/**
 * The settings in which two nodes can't both have what they ask for. Subjects add up, unless one of the nodes would
 * take away those of the other.
 */
export function streamConflicts(a: StreamDemand, b: StreamDemand): Name[] {
  return (Object.keys(streamSettings) as Name[]).filter((name) => {
    if (name === 'subjects') return takesFrom(a, b) || takesFrom(b, a);
    const [left, right] = [asked(a.settings[name]), asked(b.settings[name])];
    return left !== undefined && right !== undefined && left !== right;
  });
}

function takesFrom({ settings, narrow }: StreamDemand, other: StreamDemand): boolean {
  const { subjects = [] } = settings;
  if (!narrow || subjects.length === 0) return false;
  return (other.settings.subjects ?? []).some((each) => !subjects.some((subject) => covers(subject, each)));
}

/** A box that isn't ticked asks for nothing; 0 and -1 are both no limit. */
function asked(value: unknown): unknown {
  if (value === false) return undefined;
  return typeof value === 'number' && value <= 0 ? -1 : value;
}
