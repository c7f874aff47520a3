/** Records as Zendesk shows them. */
import { isoSeconds } from '../frame/clock';
import { type Row } from '../frame/simulation';
import { type Kind, type Stored } from './store';

export function shown(kind: Kind, record: Stored, url: string): Row {
  const common = {
    url: `${url}/api/v2/${kind}/${record.id}.json`,
    id: record.id,
    external_id: null,
    created_at: time(record.created),
    updated_at: time(record.updated),
  };
  if (kind === 'tickets') return ticket(record, common);
  return kind === 'users' ? user(record, common) : organization(record, common);
}

const time = (s: number): string => isoSeconds(s * 1000);

function ticket({ fields, exported, deleted, scrubbed }: Stored, common: Row): Row {
  const words = scrubbed
    ? { subject: 'SCRUBBED', raw_subject: 'SCRUBBED', description: 'SCRUBBED' }
    : { subject: null, raw_subject: fields.subject ?? null, description: '' };
  return {
    ...common,
    type: null,
    ...words,
    priority: null,
    status: 'new',
    requester_id: null,
    submitter_id: null,
    assignee_id: null,
    organization_id: null,
    group_id: null,
    tags: [],
    custom_fields: [],
    via: { channel: 'web' },
    ...fields,
    ...(deleted !== undefined && { status: 'deleted' }),
    generated_timestamp: exported,
  };
}

function user({ fields, deleted, scrubbed, id }: Stored, common: Row): Row {
  return {
    ...common,
    name: scrubbed ? 'Permanently Deleted User' : `Person ${id}`,
    email: null,
    phone: null,
    role: 'end-user',
    organization_id: null,
    suspended: false,
    tags: [],
    user_fields: {},
    ...(scrubbed ? { permanently_deleted: true } : fields),
    active: deleted === undefined,
  };
}

function organization({ fields, deleted }: Stored, common: Row): Row {
  return {
    ...common,
    name: null,
    domain_names: [],
    details: null,
    notes: null,
    tags: [],
    organization_fields: {},
    ...fields,
    deleted_at: deleted === undefined ? null : time(deleted),
  };
}

/** As the bin shows them: users as ever, of tickets what they were called. */
export function binned(kind: Kind, record: Stored, url: string): Row {
  if (kind !== 'tickets') return shown(kind, record, url);
  return {
    id: record.id,
    subject: record.fields.subject ?? null,
    description: record.fields.description ?? '',
    actor: { id: 1, name: 'Agent' },
    deleted_at: time(record.deleted ?? record.updated),
    previous_state: record.fields.status ?? 'new',
  };
}
