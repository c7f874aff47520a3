import { now } from '../../shared/async/clock';
import { isOutage } from '../../shared/errors';
import { RecentMap } from '../../shared/recent-map';

/** What describe tells of a field, as far as it says which records are one. */
export interface DescribedField {
  name: string;
  type: string;
  unique: boolean;
  caseSensitive: boolean;
  referenceTo: readonly string[];
  relationshipName: string | null;
}

interface Known {
  /** By name in lower case; undefined where the object could not be read. */
  fields: ReadonlyMap<string, DescribedField> | undefined;
  until: number;
}

const OBJECTS = 200;
/** Fields seldom change. */
const KEPT_MS = 3_600_000;
const FAILED_MS = 60_000;
/** While the org is away nothing else goes out either. */
const AWAY_MS = 1_000;

/** The fields of the org's objects: one call an object, made when it is first asked for, kept for an hour. */
export class Describes {
  private readonly known = new RecentMap<string, Known>(OBJECTS);
  private readonly loading = new Map<string, Promise<void>>();

  constructor(private readonly get: (path: string) => Promise<unknown>) {}

  /** The fields by their names in lower case. Undefined where they aren't known (yet): then they are being read. */
  fields(sobject: string): ReadonlyMap<string, DescribedField> | undefined {
    const known = this.known.get(sobject.toLowerCase());
    if (!known || known.until <= now()) void this.read(sobject);
    return known?.fields;
  }

  /** Resolves when the object was read, or could not be; undefined where that has been tried lately. Never rejects. */
  settling(sobject: string): Promise<void> | undefined {
    this.fields(sobject);
    return this.loading.get(sobject.toLowerCase());
  }

  private read(sobject: string): Promise<void> {
    const name = sobject.toLowerCase();
    let reading = this.loading.get(name);
    if (!reading) {
      reading = this.get(`/sobjects/${encodeURIComponent(sobject)}/describe`)
        .then(fieldsOf)
        .then(
          (fields) => ({ fields, until: now() + KEPT_MS }),
          // What was known before is better than nothing.
          (error: unknown) => ({
            fields: this.known.get(name)?.fields,
            until: now() + (isOutage(error) ? AWAY_MS : FAILED_MS),
          }),
        )
        .then((known) => void this.known.set(name, known))
        .finally(() => this.loading.delete(name));
      this.loading.set(name, reading);
    }
    return reading;
  }
}

function fieldsOf(answer: unknown): ReadonlyMap<string, DescribedField> {
  const { fields } = answer as { fields: Partial<DescribedField>[] };
  return new Map(
    fields.map(({ name, type, unique, caseSensitive, referenceTo, relationshipName }) => [
      String(name).toLowerCase(),
      {
        name: String(name),
        type: String(type),
        unique: unique === true,
        caseSensitive: caseSensitive === true,
        referenceTo: Array.isArray(referenceTo) ? referenceTo.map(String) : [],
        relationshipName: typeof relationshipName === 'string' ? relationshipName : null,
      },
    ]),
  );
}
