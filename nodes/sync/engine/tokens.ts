import { escapeToken } from '../../shared/token';

/** A token as a key of a KV bucket, which take nothing but letters, digits and `-_=./`. */
export function escapeKey(text: string): string {
  return escapeToken(text).replaceAll('%', '=').replaceAll(':', '=3A');
}

export interface SubjectOf {
  prefix: string;
  syncId: string;
  provider: string;
  /** As in the messages, e.g. "salesforce:contact". */
  collection: string;
}

/** `{prefix}.default.{sync_id}.{provider}.{collection_id}.`, to which the record's token is added. */
export function collectionSubject({ prefix, syncId, provider, collection }: SubjectOf): string {
  return `${prefix}.default.${escapeToken(syncId)}.${escapeToken(provider)}.${escapeToken(collection)}.`;
}
