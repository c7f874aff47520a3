import type { Words } from '../../../shared/say';

/**
 * An API as data. Texts may hold `{name}`, or a time as `{name|seconds}`, `{name|iso}`, `{name|ms}`: a parameter whose
 * name has no value is left out. Names: `baseUrl user account token secret privateKey` (settings), `since` and `until`
 * (epoch ms), `next` (the page), `size`, `fields`, `id`, `ids`, `to`, and what a partition or the collection's scope brings. Paths go into an answer:
 * "paging.next.after", "results[].name", "" for all of it; a time's path may say its format: "created|seconds".
 */
export interface Declaration {
  name: string;
  label: string;
  /** Where its reference is. */
  docs?: string;
  baseUrl?: string;
  /** A base URL as those of one's own account look. */
  example?: string;
  /** What every path begins with; may stand in the base URL already. */
  base?: string;
  /** The first of which all names have a value. */
  auth: readonly Auth[];
  /** What the form asks for, in the API's words; what isn't named isn't asked for. Without it: user, token, secret. */
  login?: { [name in EntryName]?: Entry };
  headers?: Record<string, string>;
  /** A GET that finds nothing new costs nothing: If-None-Match → 304. */
  conditional?: boolean;
  /** How several values of a parameter are written; repeated by default. */
  lists?: 'repeat' | 'brackets' | 'comma';
  /** Who the token belongs to, for "Test connection"; `name` is a path in the answer. */
  whoami?: Ask & { name?: string };
  rates?: Rates;
  /** Read in order; the first that fits decides. What none fits is judged by its status. */
  errors?: readonly ErrorRule[];
  /** What stands between the provider and the collection's name: "owner/repo" in "github:owner/repo:issues". */
  scope?: Scope;
  collections: Record<string, CollectionDeclaration>;
}

export type EntryName = 'user' | 'account' | 'token' | 'secret' | 'privateKey';

export interface Entry {
  label: Words;
  /** How to get it. */
  tip?: Words;
  /** Always, or while a condition holds of the settings: "secret=" while there is no secret. */
  required?: boolean | string;
}

export type Json = string | number | boolean | null | readonly Json[] | { readonly [name: string]: Json };

/** Paths and what is to be found there: a value, one of several, "*" for anything but null. */
export type Match = Record<string, string | number | boolean | null | readonly (string | number)[]>;

export type Auth =
  | { kind: 'none' }
  | { kind: 'bearer'; token: string }
  | { kind: 'basic'; user: string; password: string }
  | { kind: 'header' | 'query'; name: string; value: string }
  /** A token for an hour or so, by a POST of this form; `refresh` names the field that the API may rotate. */
  | ({ kind: 'oauth'; url: string; form: Record<string, string>; refresh?: string } & Grant)
  /**
   * The same in exchange for a JWT that is signed with a key: of these claims, and `iat` and `exp`, good for so long
   * (9m). It is `{jwt}` in the form; without a form it authorizes the POST.
   */
  | ({
      kind: 'jwt';
      url: string;
      key: string;
      algorithm?: 'RS256' | 'HS256';
      claims: Record<string, string>;
      lives?: string;
      form?: Record<string, string>;
    } & Grant);

/** Where the answer has the token, and the time of its end or, "|after", the seconds until then. */
export interface Grant {
  token?: string;
  expires?: string;
}

export interface Ask {
  get?: string;
  post?: string;
  query?: Record<string, Json>;
  body?: Json;
  /** In the place of parameters of `query`, while there is no `{next}`. */
  first?: Record<string, Json>;
  /** Another path where the API knows nothing (404) at the first. */
  otherwise?: string;
}

/** How the next page is asked for: what is found becomes `{next}`; of a URL it is the whole request. */
export interface Paging {
  by: 'link' | 'url' | 'cursor' | 'last' | 'offset' | 'page';
  /** Of the URL or cursor in the answer, of the id in the last record, of the size of a page that the API has cut. */
  path?: string;
  /** There are more pages only while this is true. */
  while?: string;
  /** There are no more pages once this is true. */
  until?: string;
  /** Of `offset`: a page that is short is so because rows were left out of it, not because the API gives fewer at once. */
  short?: boolean;
  /** What is found counts records or pages: a list with an `order` goes on at its last time. So for `offset`, `page`. */
  counts?: boolean;
  /**
   * Of `link`: a parameter that makes the list begin at a record, and where the first one has its value. What is
   * added to the list or taken from it doesn't move the pages that follow.
   */
  pin?: { parameter: string; path: string };
}

export interface Listing extends Ask {
  /** Path of the records; one alone counts as a list. */
  records: string;
  /** Without it there is one page. */
  paging?: Paging;
  /** Records of a page, as `{size}`. */
  size?: number;
  /** Path (and format) of the time by which the list is ordered, oldest first: `{since}` is where it begins. */
  order?: string;
  /** Records of one query at most: then it is begun again at the last time. */
  cap?: number;
  /** What is asked where more than `cap` records have one time, `{since}`: those with an id after `{id}`. */
  tie?: Ask;
  /**
   * A history can be read in slices of this time side by side, from `{since}` to before `{until}`: by `order`, else
   * newest first. What is asked while there is an end, where that isn't the list's own parameters.
   */
  slices?: Ask & { time: string };
}

export type ChangesDeclaration = {
  list?: Listing;
  /** How far the API's index may lag behind: the setting counts where it is longer. */
  lookback?: string;
  /** The list shows ids, perhaps late or in part: records are read by them. */
  hydrate?: boolean;
  /** The list is of events: where the object is, which count, and which are deletions. */
  events?: { object: string; where: Match; deleted: Match };
  /** How long the API remembers; who comes later reads everything. */
  keeps?: string;
} & (
  | { by: 'since' }
  /** Newest first, by the time at this path: read until what is known. */
  | { by: 'newest'; time: string }
  /** An opaque cursor for ever. `lag`: how long ago it may begin at least. */
  | { by: 'cursor'; lag?: string }
  /** Newest first, linked: read until all that is left is known. `parents` are paths of ids. */
  | { by: 'walk'; parents: string }
);

export interface CollectionDeclaration {
  label: string;
  /** What the token must be allowed, in the API's words. */
  rights?: string;
  docs?: string;
  id: string;
  created?: string;
  updated?: string;
  /** A record like this is a deletion, of the time at `deletedAt`. */
  deleted?: Match;
  deletedAt?: string;
  /** Records in the list that aren't of this collection. */
  skip?: Match;
  /** Ids (separated by ";" if they are one text) of records that have become part of this one. */
  merged?: string;
  /** Each record of another collection has a list of its own; `as`: names for its fields. */
  of?: string;
  as?: Record<string, string>;
  /** The names that are asked for as `{fields}`: those of this answer. */
  fields?: Ask & { names: string };
  list: Listing;
  /** Without it the list is read again and again, and what has changed is told by its content. */
  changes?: ChangesDeclaration;
  /** Records by their ids, `size` at once; each of `{ids}` may be wrapped `as` an object. */
  read?: Ask & { records: string; size: number; as?: Json; partial?: Partial };
  /** What belongs to a record, of the kinds that the form names. */
  associations?: AssociationsDeclaration;
  /** A list of what was deleted, read to its end at every so many polls. */
  bin?: Listing & { every?: number };
  /** How often all ids are compared, and by which list if there is a shorter one. */
  compare?: { every: string; list?: Listing };
}

/**
 * Which records of a kind, `{to}`, belong to records: of those with `{ids}`, each wrapped `as` an object with its `{id}`
 * and, where a page of it has come, `{next}`. They become the record's field "associations", by kind. A change of them
 * is no change of the record's: it is found when ids are compared.
 */
export interface AssociationsDeclaration extends Ask {
  /** For the form; others can be named, too. */
  kinds: readonly string[];
  as: Json;
  /** Path of the rows; in each those of the record's id, of what belongs to it, and of what the next page is asked for by. */
  records: string;
  of: string;
  items: string;
  next: string;
  size: number;
  partial?: Partial;
}

/** Path of failures of single ones in an answer, and which of them only say that there is nothing. */
export interface Partial {
  errors: string;
  nothing: Match;
}

export interface Rates {
  /** Requests at the same time. */
  concurrency?: number;
  /** So many requests in a time; those whose path holds `path`, or all. */
  windows?: readonly { calls: number; per: string; path?: string }[];
  /** Headers that tell what is left until when: "x-reset|seconds" (epoch), "|ms", "|iso", "|after" (seconds from now). */
  quota?: { limit: string; remaining: string; reset?: string };
}

export interface ErrorRule {
  status?: number | readonly number[];
  /** Somewhere in the answer, in any case. */
  text?: string;
  /** In the answer's JSON. */
  where?: Match;
  headers?: Match;
  /**
   * `fail`: for good. `retry`: an error of the API's. `wait`: its limit is spent. `empty`: there is nothing. `gone`:
   * not there (any more). `restart`: the list has to be begun again. `login`: the token has ended.
   */
  do: 'fail' | 'retry' | 'wait' | 'empty' | 'gone' | 'restart' | 'login';
  /** How long at least, unless Retry-After says it. */
  wait?: string;
  /** A header with the time to wait for, as in `quota`. */
  until?: string;
  /** Added to what the API says: what to do. */
  advice?: string;
}

export interface Scope {
  /** As people write it: "owner/repo". */
  example: string;
  /** Names of its parts, those with "?" may be missing. */
  parts: readonly string[];
  /** Where all parts are given, the partition that they name. */
  partition?: Record<string, string>;
  /** What there is, for the form: `names` is the path of each as people write it. */
  choices?: Ask & { names: string };
}
