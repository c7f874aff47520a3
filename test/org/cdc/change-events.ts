/** Change Data Capture: what a committed transaction looks like as change events. */
import { randomUUID } from 'node:crypto';
import { isCompound, isLongText, type Column, type CompoundColumn } from '../pubsub/avro-fields';
import { type AvroSchema, type AvroSchemas } from '../pubsub/avro-schemas';
import { avroValue } from '../pubsub/avro-values';
import { bitmaps } from './bitmap';
import { textDiff } from './diff';
import { type NewEvent } from '../pubsub/log';
import { type PubSubSwitches } from '../pubsub/switches';
import { type Schema, type SObjectType } from '../store/schema';
import { type Change, type ChangeType, type Commit } from '../store/store';
import { type Row } from '../store/table';

export type ChangeEventType = ChangeType | `GAP_${ChangeType}` | 'GAP_OVERFLOW';

/** What a change event says about itself, with bitmaps for field lists. */
export interface ChangeEventHeader {
  entityName: string;
  recordIds: string[];
  changeType: ChangeEventType;
  changeOrigin: string;
  transactionKey: string;
  sequenceNumber: number;
  commitTimestamp: number;
  commitNumber: bigint;
  commitUser: string;
  nulledFields: string[];
  diffFields: string[];
  changedFields: string[];
}

export interface ChangeEvent extends NewEvent {
  type: SObjectType;
}

const MAX_BYTES = 1024 * 1024;
/** The empty record id, which stands for the records of an overflow. */
export const NO_RECORD = '000000000000000AAA';

export interface Capture {
  schema: Schema;
  schemas: AvroSchemas;
  switches: PubSubSwitches;
  /** Whether the object is selected. */
  captures: (type: SObjectType) => boolean;
}

/** The events of a transaction in order, which share its key and count from 1. */
export function changeEvents(on: Capture, commit: Commit): ChangeEvent[] {
  const { switches } = on;
  const contents: Content[] = [];
  const overflown = new Set<SObjectType>();
  let counted = 0;
  for (const change of netChanges(commit.changes)) {
    const type = on.schema.type(change.entity);
    if (!type || !on.captures(type)) continue;
    counted += change.changeType === 'UPDATE' ? change.changedFields.length : 1;
    if (counted > switches.overflowAfter) overflown.add(type);
    else add(contents, contentOf(on, type, change), switches.mergeChangeEvents);
  }
  for (const type of overflown) contents.push(headerOnly(type, 'GAP_OVERFLOW', [NO_RECORD]));
  return contents.map((content, i) => encode(on, content, commit, i + 1));
}

/** An event without data, as the org sends it when it can't say more: gaps, overflows, wildcard ids. */
export function headerOnlyEvent(
  on: Capture,
  type: SObjectType,
  changeType: ChangeEventType,
  recordIds: string[],
  commit: Omit<Commit, 'changes'>,
): ChangeEvent {
  return encode(on, headerOnly(type, changeType, recordIds), commit, 1);
}

/** What several changes of one record in one transaction come to. */
function netChanges(changes: readonly Change[]): Change[] {
  const byRecord = new Map<string, Change>();
  for (const change of changes) {
    const first = byRecord.get(change.recordId);
    byRecord.set(change.recordId, first ? { ...change, before: first.before } : change);
  }
  const net: Change[] = [];
  for (const change of byRecord.values()) {
    const changeType = netType(change.before, change.after);
    if (changeType)
      net.push({ ...change, changeType, changedFields: differing(change.before, change.after) });
  }
  return net;
}

function netType(before: Row | undefined, after: Row | undefined): ChangeType | undefined {
  const was = before !== undefined && before.IsDeleted !== true;
  const is = after !== undefined && after.IsDeleted !== true;
  if (was) return is ? 'UPDATE' : 'DELETE';
  if (!is) return undefined;
  return before === undefined ? 'CREATE' : 'UNDELETE';
}

/** An update always names LastModifiedDate, though it be the same to the second. */
function differing(before: Row | undefined, after: Row | undefined): string[] {
  if (!before || !after) return [];
  return Object.keys(after).filter(
    (name) =>
      name === 'LastModifiedDate' ||
      (after[name] !== before[name] && !['SystemModstamp', 'IsDeleted'].includes(name)),
  );
}

/** A change event before it has its place in the transaction. */
interface Content {
  type: SObjectType;
  changeType: ChangeEventType;
  recordIds: string[];
  body: Record<string, unknown>;
  nulledFields: string[];
  diffFields: string[];
  changedFields: string[];
}

function headerOnly(type: SObjectType, changeType: ChangeEventType, recordIds: string[]): Content {
  return { type, changeType, recordIds, body: {}, nulledFields: [], diffFields: [], changedFields: [] };
}

function contentOf(on: Capture, type: SObjectType, change: Change): Content {
  const { changeType, recordId, before, after } = change;
  if (on.switches.gapEvents.includes(type.name)) return headerOnly(type, `GAP_${changeType}`, [recordId]);
  const content = headerOnly(type, changeType, [recordId]);
  if (changeType === 'DELETE' || !after) return content;
  const { columns } = on.schemas.of(type);
  if (changeType !== 'UPDATE' || !before) return { ...content, body: bodyOf(columns, after) };
  const changed = new Set(change.changedFields);
  const nulled = new Set(change.changedFields.filter((name) => after[name] === null));
  const diffs = on.switches.textDiffs
    ? textDiffs(columns, changed, before, after)
    : new Map<string, string>();
  const list = (fields: ReadonlySet<string>): string[] =>
    bitmaps(columns, fields, on.switches.emptyBitmap === 'sent');
  return {
    ...content,
    body: { ...bodyOf(columns, after, changed), ...Object.fromEntries(diffs) },
    nulledFields: list(nulled),
    diffFields: list(new Set(diffs.keys())),
    changedFields: list(changed),
  };
}

/** All fields, or those in `only`: what hasn't changed is null in the event of an update. */
function bodyOf(columns: readonly Column[], row: Row, only?: ReadonlySet<string>): Record<string, unknown> {
  const body: Record<string, unknown> = {};
  for (const column of columns) {
    if (isCompound(column)) body[column.name] = compoundOf(column, row, only);
    else if (!only || only.has(column.name)) body[column.name] = avroValue(column.field, row[column.name]);
  }
  return body;
}

function compoundOf(column: CompoundColumn, row: Row, only?: ReadonlySet<string>): unknown {
  const value: Record<string, unknown> = {};
  for (const { name, field } of column.parts) {
    const shown = field && (!only || only.has(field.name));
    value[name] = shown ? avroValue(field, row[field.name]) : null;
  }
  return Object.values(value).every((part) => part === null) ? null : value;
}

function textDiffs(
  columns: readonly Column[],
  changed: ReadonlySet<string>,
  before: Row,
  after: Row,
): Map<string, string> {
  const diffs = new Map<string, string>();
  for (const column of columns) {
    if (isCompound(column) || !isLongText(column.field) || !changed.has(column.name)) continue;
    const [old, now] = [before[column.name], after[column.name]];
    const diff = typeof old === 'string' && typeof now === 'string' ? textDiff(old, now) : undefined;
    if (diff !== undefined) diffs.set(column.name, diff);
  }
  return diffs;
}

/** Joins it to the event before where that is the same change of another record. */
function add(contents: Content[], content: Content, merge: boolean): void {
  const last = contents.at(-1);
  const alike =
    merge &&
    last?.type === content.type &&
    last.changeType === content.changeType &&
    content.changeType !== 'CREATE' &&
    content.changeType !== 'UNDELETE' &&
    sameData(last, content);
  if (alike) last.recordIds.push(...content.recordIds);
  else contents.push(content);
}

function sameData(a: Content, b: Content): boolean {
  const data = ({ body, nulledFields, diffFields, changedFields }: Content): string =>
    JSON.stringify([body, nulledFields, diffFields, changedFields]);
  return data(a) === data(b);
}

function encode(
  on: Capture,
  content: Content,
  commit: Omit<Commit, 'changes'>,
  sequenceNumber: number,
): ChangeEvent {
  const { type, changeType, recordIds } = content;
  const schema = on.schemas.of(type);
  const header: ChangeEventHeader = {
    entityName: type.name,
    recordIds,
    changeType,
    changeOrigin: commit.origin,
    transactionKey: commit.transactionKey,
    sequenceNumber,
    commitTimestamp: Math.floor(commit.commitTimestamp / 1000) * 1000,
    commitNumber: BigInt(on.switches.firstCommitNumber) + BigInt(commit.number),
    commitUser: commit.user,
    nulledFields: content.nulledFields,
    diffFields: content.diffFields,
    changedFields: content.changedFields,
  };
  const payload = payloadOf(schema, header, content.body);
  if (payload.length > MAX_BYTES && !changeType.startsWith('GAP_')) {
    const gap = `GAP_${changeType as ChangeType}` as const;
    return encode(on, headerOnly(type, gap, recordIds), commit, sequenceNumber);
  }
  return { type, id: randomUUID(), schemaId: schema.id, payload };
}

function payloadOf(schema: AvroSchema, header: ChangeEventHeader, body: Record<string, unknown>): Buffer {
  const value: Record<string, unknown> = { ChangeEventHeader: header };
  for (const { name } of schema.columns) value[name] = body[name] ?? null;
  return schema.codec.toBuffer(value);
}
