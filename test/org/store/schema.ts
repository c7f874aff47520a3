/** The org's objects and fields: what it starts with, and how tests extend it. */

export type FieldType =
  | 'id'
  | 'string'
  | 'textarea'
  | 'email'
  | 'phone'
  | 'url'
  | 'picklist'
  | 'multipicklist'
  | 'boolean'
  | 'int'
  | 'double'
  | 'currency'
  | 'percent'
  | 'date'
  | 'datetime'
  | 'time'
  | 'reference'
  | 'anyType'
  | 'encryptedstring'
  | 'base64'
  | 'address'
  | 'location';

export interface Field {
  readonly name: string;
  readonly label: string;
  readonly type: FieldType;
  readonly length: number;
  readonly precision: number;
  readonly scale: number;
  /** May be null. A required field is neither nillable nor defaulted. */
  readonly nillable: boolean;
  readonly defaultValue: string | number | boolean | null;
  readonly createable: boolean;
  readonly updateable: boolean;
  readonly externalId: boolean;
  /** Upserts may go by it, as by an external id. */
  readonly idLookup: boolean;
  readonly unique: boolean;
  /** Whether "ABC" and "abc" are two values of a unique field. */
  readonly caseSensitive: boolean;
  readonly referenceTo: readonly string[];
  readonly relationshipName: string | null;
  /** Child relationship name on the parent, e.g. Contacts. */
  readonly childRelationship: string | null;
  readonly cascadeDelete: boolean;
  readonly picklist: readonly string[];
  readonly restrictedPicklist: boolean;
}

export interface SObjectType {
  readonly name: string;
  readonly label: string;
  readonly labelPlural: string;
  readonly keyPrefix: string;
  readonly custom: boolean;
  /** Another map after every change of the fields. */
  readonly fields: ReadonlyMap<string, Field>;
}

/** A field as tests write it: everything but name and type has a default. */
export type FieldDeclaration = { name: string; type?: FieldType; required?: boolean } & Partial<
  Omit<Field, 'name' | 'type'>
>;

/** An object as tests write it. Named fields are added to an object that is there, or replaced; `removeFields` go. */
export interface SObjectDeclaration {
  name: string;
  label?: string;
  labelPlural?: string;
  keyPrefix?: string;
  fields?: FieldDeclaration[];
  removeFields?: string[];
  /** Contacts' standard Name is made of FirstName and LastName; other objects have a plain Name, or none. */
  nameField?: 'plain' | 'person' | 'none';
}

const LENGTHS: Partial<Record<FieldType, number>> = {
  id: 18,
  reference: 18,
  string: 255,
  textarea: 32_000,
  email: 80,
  phone: 40,
  url: 255,
  picklist: 255,
  multipicklist: 4099,
  encryptedstring: 175,
};

export function field(declaration: FieldDeclaration): Field {
  const type = declaration.type ?? 'string';
  const defaultValue = declaration.defaultValue ?? (type === 'boolean' ? false : null);
  const readOnly = type === 'id' || isCompound(type);
  const { externalId = false } = declaration;
  return {
    label: declaration.name.replace(/__c$/, '').replace(/Id$/, ' ID').replaceAll('_', ' '),
    length: LENGTHS[type] ?? 0,
    precision: type === 'currency' || type === 'double' || type === 'percent' ? 18 : 0,
    scale: type === 'currency' || type === 'double' || type === 'percent' ? 2 : 0,
    nillable: type !== 'boolean' && declaration.required !== true,
    createable: !readOnly,
    updateable: !readOnly,
    externalId,
    idLookup: externalId || type === 'id',
    unique: false,
    caseSensitive: false,
    referenceTo: [],
    relationshipName: relationshipOf(declaration.name, type),
    childRelationship: null,
    cascadeDelete: false,
    picklist: [],
    restrictedPicklist: false,
    ...declaration,
    type,
    defaultValue,
  };
}

/** Made of other fields, and read only as such. */
export function isCompound(type: FieldType): boolean {
  return type === 'address' || type === 'location';
}

/** The fields that a compound field is made of, by the name that they have in it. */
export function partsOf({ name, type }: Pick<Field, 'name' | 'type'>): Record<string, FieldDeclaration> {
  if (type === 'location') {
    const own = (part: string): FieldDeclaration => ({
      name: name.endsWith('__c') ? `${name.slice(0, -3)}__${part}__s` : name + part,
      type: 'double',
      precision: 18,
      scale: 15,
    });
    return { latitude: own('Latitude'), longitude: own('Longitude') };
  }
  if (type !== 'address') return {};
  const prefix = name.replace(/Address$/, '');
  const degrees = { type: 'double', precision: 18, scale: 15 } as const;
  return {
    city: { name: `${prefix}City`, length: 40 },
    country: { name: `${prefix}Country`, length: 80 },
    geocodeAccuracy: { name: `${prefix}GeocodeAccuracy`, type: 'picklist' },
    latitude: { name: `${prefix}Latitude`, ...degrees },
    longitude: { name: `${prefix}Longitude`, ...degrees },
    postalCode: { name: `${prefix}PostalCode`, length: 20 },
    state: { name: `${prefix}State`, length: 80 },
    street: { name: `${prefix}Street`, type: 'textarea', length: 255 },
  };
}

function relationshipOf(name: string, type: FieldType): string | null {
  if (type !== 'reference') return null;
  return name.endsWith('__c') ? `${name.slice(0, -1)}r` : name.replace(/Id$/, '');
}

const READ_ONLY = { createable: false, updateable: false, nillable: false };

const SYSTEM_FIELDS: FieldDeclaration[] = [
  { name: 'Id', type: 'id', label: 'Record ID', nillable: false },
  { name: 'IsDeleted', type: 'boolean', label: 'Deleted', ...READ_ONLY },
  { name: 'CreatedDate', type: 'datetime', label: 'Created Date', ...READ_ONLY },
  { name: 'CreatedById', type: 'reference', referenceTo: ['User'], ...READ_ONLY },
  { name: 'LastModifiedDate', type: 'datetime', label: 'Last Modified Date', ...READ_ONLY },
  { name: 'LastModifiedById', type: 'reference', referenceTo: ['User'], ...READ_ONLY },
  { name: 'SystemModstamp', type: 'datetime', label: 'System Modstamp', ...READ_ONLY },
];

const EVENT_FIELDS: FieldDeclaration[] = [
  { name: 'ReplayId', label: 'Replay ID', createable: false, updateable: false },
  { name: 'EventUuid', label: 'Event UUID', createable: false, updateable: false },
  { name: 'CreatedDate', type: 'datetime', label: 'Created Date', ...READ_ONLY },
  { name: 'CreatedById', type: 'reference', referenceTo: ['User'], ...READ_ONLY },
];

function nameFields(kind: SObjectDeclaration['nameField']): FieldDeclaration[] {
  if (kind === 'none') return [];
  if (kind === 'person') {
    return [
      { name: 'FirstName', length: 40, label: 'First Name' },
      { name: 'LastName', length: 80, label: 'Last Name', required: true },
      { name: 'Name', length: 121, label: 'Full Name', ...READ_ONLY },
    ];
  }
  return [{ name: 'Name', length: 80, label: 'Name', nillable: true }];
}

/** All objects of one org. */
export class Schema {
  readonly #types = new Map<string, SObjectType>();
  #customObjects = 0;

  constructor(declarations: readonly SObjectDeclaration[]) {
    for (const declaration of declarations) this.declare(declaration);
  }

  /** Fields of an object that field-level security hides from the API's user. */
  hides: (sobject: string) => readonly string[] | undefined = () => undefined;
  readonly #views = new Map<string, { whole: SObjectType; hidden: string; view: SObjectType }>();

  /** The object as the API's user sees it. Names are matched without regard to case, as Salesforce does. */
  type(name: string): SObjectType | undefined {
    const whole = this.whole(name);
    const hidden = whole && this.hides(whole.name)?.join();
    if (!whole || !hidden) return whole;
    const known = this.#views.get(whole.name);
    if (known?.whole === whole && known.hidden === hidden) return known.view;
    const names = hidden.split(',');
    const fields = new Map([...whole.fields].filter(([field]) => !names.includes(field)));
    const view = { ...whole, fields };
    this.#views.set(whole.name, { whole, hidden, view });
    return view;
  }

  /** The object with all its fields. */
  whole(name: string): SObjectType | undefined {
    return this.#types.get(name) ?? this.#types.get(this.#nameOf(name));
  }

  #nameOf(name: string): string {
    const lower = name.toLowerCase();
    for (const known of this.#types.keys()) if (known.toLowerCase() === lower) return known;
    return name;
  }

  types(): SObjectType[] {
    return [...this.#types.keys()].flatMap((name) => this.type(name) ?? []);
  }

  byPrefix(id: string): SObjectType | undefined {
    const prefix = id.slice(0, 3);
    for (const type of this.#types.values()) if (type.keyPrefix === prefix) return type;
    return undefined;
  }

  /** Every reference field that points at this object. */
  children(parent: string): { child: SObjectType; field: Field }[] {
    const found: { child: SObjectType; field: Field }[] = [];
    for (const child of this.#types.values()) {
      for (const reference of child.fields.values()) {
        if (reference.referenceTo.includes(parent)) found.push({ child, field: reference });
      }
    }
    return found;
  }

  /** Makes an object, or adds, replaces and removes fields of one. */
  declare(declaration: SObjectDeclaration): SObjectType {
    const { name } = declaration;
    const old = this.#types.get(name);
    const fields = new Map(old?.fields);
    if (!old) {
      const standard = name.endsWith('__e')
        ? EVENT_FIELDS
        : [...SYSTEM_FIELDS, ...nameFields(declaration.nameField)];
      for (const system of standard) fields.set(system.name, field(system));
    }
    for (const added of declaration.fields ?? []) {
      fields.set(added.name, field(added));
      for (const part of Object.values(partsOf(field(added))))
        if (!fields.has(part.name)) fields.set(part.name, field(part));
    }
    for (const removed of declaration.removeFields ?? []) fields.delete(removed);
    const label = declaration.label ?? old?.label ?? name.replace(/__[ce]$/, '').replaceAll('_', ' ');
    const type: SObjectType = {
      name,
      label,
      labelPlural: declaration.labelPlural ?? old?.labelPlural ?? `${label}s`,
      keyPrefix: declaration.keyPrefix ?? old?.keyPrefix ?? this.#nextPrefix(name),
      custom: /__[ce]$/.test(name),
      fields,
    };
    this.#types.set(name, type);
    return type;
  }

  #nextPrefix(name: string): string {
    const digits = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ';
    const number = this.#customObjects++;
    const letter = name.endsWith('__e') ? 'e' : 'a';
    return `${letter}${digits.charAt(Math.floor(number / 36))}${digits.charAt(number % 36)}`;
  }
}
