/** The object types that the simulated portal has, with their properties. */
export type TypeName = 'contacts' | 'companies' | 'deals' | 'tickets';

export interface Property {
  name: string;
  type: 'string' | 'number' | 'datetime' | 'enumeration' | 'bool';
}

export interface TypeDeclaration {
  /** The property that says when a record last changed. */
  modified: 'lastmodifieddate' | 'hs_lastmodifieddate';
  /** Given where a request names none. */
  defaults: readonly string[];
  scope: string;
  properties: readonly Property[];
}

const text = (...names: string[]): Property[] => names.map((name) => ({ name, type: 'string' }));

const common = (modified: TypeDeclaration['modified']): Property[] => [
  { name: 'hs_object_id', type: 'number' },
  { name: 'createdate', type: 'datetime' },
  { name: modified, type: 'datetime' },
  ...text('hs_merged_object_ids'),
];

export const TYPES: Record<TypeName, TypeDeclaration> = {
  contacts: {
    modified: 'lastmodifieddate',
    defaults: ['email', 'firstname', 'lastname'],
    scope: 'crm.objects.contacts.read',
    properties: [
      ...common('lastmodifieddate'),
      ...text('email', 'firstname', 'lastname', 'phone', 'company', 'lifecyclestage'),
    ],
  },
  companies: {
    modified: 'hs_lastmodifieddate',
    defaults: ['name', 'domain'],
    scope: 'crm.objects.companies.read',
    properties: [...common('hs_lastmodifieddate'), ...text('name', 'domain', 'city', 'industry', 'phone')],
  },
  deals: {
    modified: 'hs_lastmodifieddate',
    defaults: ['dealname', 'amount', 'closedate', 'pipeline', 'dealstage'],
    scope: 'crm.objects.deals.read',
    properties: [
      ...common('hs_lastmodifieddate'),
      ...text('dealname', 'pipeline', 'dealstage'),
      { name: 'amount', type: 'number' },
      { name: 'closedate', type: 'datetime' },
    ],
  },
  tickets: {
    modified: 'hs_lastmodifieddate',
    defaults: [
      'subject',
      'content',
      'hs_pipeline',
      'hs_pipeline_stage',
      'hs_ticket_category',
      'hs_ticket_priority',
    ],
    scope: 'tickets',
    properties: [
      ...common('hs_lastmodifieddate'),
      ...text(
        'subject',
        'content',
        'hs_pipeline',
        'hs_pipeline_stage',
        'hs_ticket_category',
        'hs_ticket_priority',
      ),
    ],
  },
};

export function isTypeName(name: string): name is TypeName {
  return Object.hasOwn(TYPES, name);
}
