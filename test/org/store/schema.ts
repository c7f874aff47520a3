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
  | 'reference';

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
  readonly fields: ReadonlyMap<string, Field>;
  /** Raised with every change of the fields; a platform event's schema id comes from it. */
  readonly version: number;
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
};

export function field(declaration: FieldDeclaration): Field {
  const type = declaration.type ?? 'string';
  const defaultValue = declaration.defaultValue ?? (type === 'boolean' ? false : null);
  const readOnly = type === 'id';
  return {
    label: declaration.name.replace(/__c$/, '').replace(/Id$/, ' ID').replaceAll('_', ' '),
    length: LENGTHS[type] ?? 0,
    precision: type === 'currency' || type === 'double' || type === 'percent' ? 18 : 0,
    scale: type === 'currency' || type === 'double' || type === 'percent' ? 2 : 0,
    nillable: type !== 'boolean' && declaration.required !== true,
    createable: !readOnly,
    updateable: !readOnly,
    externalId: false,
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

  /** Names are matched without regard to case, as Salesforce does. */
  type(name: string): SObjectType | undefined {
    return this.#types.get(name) ?? this.#types.get(this.#nameOf(name));
  }

  #nameOf(name: string): string {
    const lower = name.toLowerCase();
    for (const known of this.#types.keys()) if (known.toLowerCase() === lower) return known;
    return name;
  }

  types(): SObjectType[] {
    return [...this.#types.values()];
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
    for (const added of declaration.fields ?? []) fields.set(added.name, field(added));
    for (const removed of declaration.removeFields ?? []) fields.delete(removed);
    const label = declaration.label ?? old?.label ?? name.replace(/__[ce]$/, '').replaceAll('_', ' ');
    const type: SObjectType = {
      name,
      label,
      labelPlural: declaration.labelPlural ?? old?.labelPlural ?? `${label}s`,
      keyPrefix: declaration.keyPrefix ?? old?.keyPrefix ?? this.#nextPrefix(name),
      custom: /__[ce]$/.test(name),
      fields,
      version: (old?.version ?? 0) + 1,
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
