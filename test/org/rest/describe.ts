/** What the org says about itself: versions, resources, describe, limits. */
import { partsOf, type Field, type FieldType, type Schema, type SObjectType } from '../store/schema';
import { type Limit, type OrgState, type Reply } from '../state';

/** Versions 21 to 30 were retired in Summer '25. */
export const OLDEST_VERSION = 31;
export const NEWEST_VERSION = 67;

export function versions(): Reply {
  const body = [];
  for (let version = OLDEST_VERSION; version <= NEWEST_VERSION; version++) {
    // v31 was Summer '14; three releases a year.
    const season = ['Summer', 'Winter', 'Spring'][(version - OLDEST_VERSION) % 3] ?? '';
    const year = 14 + Math.floor((version - OLDEST_VERSION + 2) / 3);
    body.push({ label: `${season} '${year}`, url: `/services/data/v${version}.0`, version: `${version}.0` });
  }
  return { status: 200, body };
}

export function resources(version: string): Reply {
  const names = ['sobjects', 'composite', 'query', 'queryAll', 'limits', 'jobs'];
  return {
    status: 200,
    body: Object.fromEntries(names.map((name) => [name, `/services/data/v${version}/${name}`])),
  };
}

export function describeGlobal(schema: Schema, version: string): Reply {
  return {
    status: 200,
    body: {
      encoding: 'UTF-8',
      maxBatchSize: 200,
      sobjects: schema.types().map((type) => summary(type, version)),
    },
  };
}

function summary(type: SObjectType, version: string): Record<string, unknown> {
  const event = type.name.endsWith('__e');
  const base = `/services/data/v${version}/sobjects/${type.name}`;
  return {
    name: type.name,
    label: type.label,
    labelPlural: type.labelPlural,
    keyPrefix: type.keyPrefix,
    custom: type.custom,
    customSetting: false,
    activateable: false,
    createable: true,
    deletable: !event,
    queryable: !event,
    replicateable: !event,
    retrieveable: !event,
    searchable: !event,
    triggerable: true,
    undeletable: !event,
    updateable: !event,
    layoutable: !event,
    mergeable: false,
    deprecatedAndHidden: false,
    feedEnabled: false,
    hasSubtypes: false,
    isSubtype: false,
    urls: { sobject: base, describe: `${base}/describe`, rowTemplate: `${base}/{ID}` },
  };
}

const SOAP_TYPES: Partial<Record<FieldType, string>> = {
  id: 'tns:ID',
  reference: 'tns:ID',
  boolean: 'xsd:boolean',
  int: 'xsd:int',
  double: 'xsd:double',
  currency: 'xsd:double',
  percent: 'xsd:double',
  date: 'xsd:date',
  datetime: 'xsd:dateTime',
  time: 'xsd:time',
  anyType: 'xsd:anyType',
  base64: 'xsd:base64Binary',
  address: 'urn:address',
  location: 'urn:location',
};

function describeField(field: Field, compoundFieldName: string | null): Record<string, unknown> {
  return {
    name: field.name,
    label: field.label,
    type: field.type,
    soapType: SOAP_TYPES[field.type] ?? 'xsd:string',
    length: field.length,
    byteLength: field.length * 3,
    digits: field.type === 'int' ? 10 : 0,
    precision: field.precision,
    scale: field.scale,
    nillable: field.nillable,
    defaultedOnCreate: field.defaultValue !== null || !field.createable || field.name === 'OwnerId',
    defaultValue: field.defaultValue,
    createable: field.createable,
    updateable: field.updateable,
    custom: field.name.endsWith('__c'),
    calculated: false,
    autoNumber: false,
    externalId: field.externalId,
    idLookup: field.idLookup,
    unique: field.unique,
    caseSensitive: field.caseSensitive,
    nameField: field.name === 'Name',
    namePointing: false,
    referenceTo: field.referenceTo,
    relationshipName: field.relationshipName,
    cascadeDelete: field.cascadeDelete,
    picklistValues: field.picklist.map((value) => ({
      value,
      label: value,
      active: true,
      defaultValue: false,
    })),
    restrictedPicklist: field.restrictedPicklist,
    filterable: isComparable(field),
    sortable: isComparable(field) && field.type !== 'multipicklist',
    groupable: isGroupable(field),
    queryByDistance: false,
    deprecatedAndHidden: false,
    encrypted: false,
    permissionable: field.nillable && field.createable,
    compoundFieldName,
    inlineHelpText: null,
  };
}

const NEVER_COMPARED: ReadonlySet<FieldType> = new Set(['address', 'location', 'base64', 'encryptedstring']);

/** Whether conditions and ORDER BY take it. */
export function isComparable({ type, length }: Field): boolean {
  return !NEVER_COMPARED.has(type) && (type !== 'textarea' || length <= 255);
}

const GROUPED: ReadonlySet<FieldType> = new Set([
  'id',
  'reference',
  'string',
  'email',
  'phone',
  'url',
  'picklist',
  'boolean',
  'int',
  'date',
]);

export function isGroupable({ type }: Field): boolean {
  return GROUPED.has(type);
}

export function describe(schema: Schema, type: SObjectType, version: string): Reply {
  const childRelationships = schema.children(type.name).map(({ child, field }) => ({
    childSObject: child.name,
    field: field.name,
    relationshipName: field.childRelationship,
    cascadeDelete: field.cascadeDelete,
    restrictedDelete: false,
    deprecatedAndHidden: false,
  }));
  const compounds = new Map<string, string>();
  if (type.fields.has('LastName')) for (const part of ['FirstName', 'LastName']) compounds.set(part, 'Name');
  for (const field of type.fields.values())
    for (const { name } of Object.values(partsOf(field))) compounds.set(name, field.name);
  const fields = [...type.fields.values()].map((field) =>
    describeField(field, compounds.get(field.name) ?? null),
  );
  return {
    status: 200,
    body: { ...summary(type, version), fields, childRelationships, recordTypeInfos: [], supportedScopes: [] },
  };
}

/** Generous, so that only tests of limits meet them. */
export function initialLimits(): Record<string, Limit> {
  const limit = (Max: number): Limit => ({ Max, Remaining: Max });
  return {
    DailyApiRequests: limit(1_000_000),
    DailyBulkApiBatches: limit(15_000),
    DailyBulkV2QueryJobs: limit(10_000),
    DailyBulkV2QueryFileStorageMB: limit(976_562),
    DailyDeliveredPlatformEvents: limit(10_000_000),
    DailyStandardVolumePlatformEvents: limit(250_000),
    HourlyPublishedPlatformEvents: limit(10_000_000),
    HourlyPublishedStandardVolumePlatformEvents: limit(100_000),
    MonthlyPlatformEventsUsageEntitlement: limit(1_500_000),
    ConcurrentAsyncGetReportInstances: limit(200),
    DataStorageMB: limit(10_240),
    FileStorageMB: limit(10_240),
    SingleEmail: limit(5_000),
  };
}

/** Sforce-Limit-Info, on every REST answer. */
export function limitInfo(org: OrgState): string {
  const daily = org.limits.DailyApiRequests ?? { Max: 0, Remaining: 0 };
  const used = daily.Max - daily.Remaining;
  const behind = (used * 7) % (org.switches.usageDrift + 1);
  return `api-usage=${Math.max(0, used - behind)}/${daily.Max}`;
}
