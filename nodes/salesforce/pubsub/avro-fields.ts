/** The part of an event's Avro schema that conversion and change events look at. */
export interface EventField {
  name: string;
  /** What Salesforce says of the field: "Data:DateTime:00N…", "CreatedBy:EntityId". */
  doc: string;
  nullable: boolean;
  /** Avro's name of the type that isn't null; the first where there are several. */
  type: string;
  /** Of a record, also where it is one of several types (Name is a text or a record of its parts). */
  fields?: EventField[];
  /** Of an array. */
  items?: EventField;
}

interface AvroRecord {
  type: 'record';
  name: string;
  namespace?: string;
  fields: { name: string; doc?: string; type: AvroType }[];
}

type AvroType =
  string | AvroType[] | AvroRecord | { type: AvroType; name?: string; namespace?: string; items?: AvroType };

/** The fields of an event in the order of its schema, which is what the bitmaps of change events count by. */
export function eventFields(schemaJson: string): EventField[] {
  const schema = JSON.parse(schemaJson) as AvroRecord;
  return fieldsOf(schema, new Map(), schema.namespace ?? '');
}

type Known = Map<string, EventField>;

function fieldsOf(record: AvroRecord, known: Known, namespace: string): EventField[] {
  return record.fields.map(({ name, doc, type }) => ({
    ...describe(type, known, namespace),
    name,
    doc: doc ?? '',
  }));
}

function describe(type: AvroType, known: Known, namespace: string): EventField {
  if (Array.isArray(type)) {
    const branches = type
      .filter((branch) => branch !== 'null')
      .map((branch) => describe(branch, known, namespace));
    const [first] = branches;
    return {
      name: '',
      doc: '',
      type: first?.type ?? 'null',
      nullable: branches.length < type.length,
      fields: branches.find((branch) => branch.fields)?.fields,
      items: branches.find((branch) => branch.items)?.items,
    };
  }
  if (typeof type === 'string') {
    const named = known.get(type) ?? known.get(`${namespace}.${type}`);
    return named ?? { name: '', doc: '', type, nullable: false };
  }
  if (typeof type.type === 'object') return describe(type.type, known, namespace);
  const own = type.namespace ?? namespace;
  const field: EventField = { name: '', doc: '', type: type.type, nullable: false };
  if (type.name !== undefined) known.set(type.name, field).set(`${own}.${type.name}`, field);
  if ('fields' in type) field.fields = fieldsOf(type, known, own);
  if ('items' in type && type.items !== undefined) field.items = describe(type.items, known, own);
  return field;
}
