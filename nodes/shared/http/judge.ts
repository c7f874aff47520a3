/** An answer to a request, whoever gave it: the API itself, or anything on the way to it. */
export interface HttpAnswer {
  status: number;
  /** The header `content-type`; '' where there is none. */
  contentType: string;
  /** Parsed JSON, the text where it is none, undefined where it is empty. */
  body: unknown;
}

/** What an answer is, before anybody asks what the API says in it. */
export type Judgement =
  /** The API's answer to what it has carried out; whether the body has the shape that was asked for is not looked at. */
  | 'done'
  /** The API's own refusal, in its own words, which decide whether the request is at fault. Nothing was carried out. */
  | 'refused'
  /** The session isn't taken (any more). Nothing was carried out. */
  | 'session'
  /** The API is somewhere else now, or a portal is in between. Nothing was carried out. */
  | 'moved'
  /** Too much at once: to be asked again later, and less often. Nothing was carried out. */
  | 'busy'
  /** The request is larger than something on the way takes. Nothing was carried out. */
  | 'large'
  /** Somebody on the way refuses, or the API is not there. Nothing was carried out. */
  | 'away'
  /** Nobody knows whether it was carried out. */
  | 'unknown';

const BUSY = new Set([420, 425, 429]);
const LARGE = new Set([413, 414, 431]);
/** A proxy that wants a login; a connection to the wrong host. */
const ON_THE_WAY = new Set([407, 421]);

/**
 * Whose answer is it, and was the request carried out? A refusal counts as the API's own only if `isOwn` knows the shape
 * of its body: gateways, portals and firewalls answer with any status, mostly with a page or with nothing, and that is
 * nobody's fault. Knows nothing of a particular API. Source: RFC 9110, and what edges are recorded to answer.
 */
export function judge(answer: HttpAnswer, isOwn: (body: unknown) => boolean = isObject): Judgement {
  const { status, body } = answer;
  if (status >= 200 && status < 300) return isPage(answer) ? 'unknown' : 'done';
  if (status >= 300 && status < 400) return status === 300 && isOwn(body) ? 'refused' : 'moved';
  if (status === 401) return 'session';
  // Who gave up waiting for a request, or an answer, may have passed it on.
  if (status < 200 || status >= 500 || status === 408) return 'unknown';
  if (BUSY.has(status)) return 'busy';
  if (ON_THE_WAY.has(status)) return 'away';
  if (isOwn(body)) return 'refused';
  return LARGE.has(status) ? 'large' : 'away';
}

/** A text where JSON was to be: a page of somebody else, or an answer that broke off. */
function isPage({ contentType, body }: HttpAnswer): boolean {
  return typeof body === 'string' && (contentType === '' || /html|json/i.test(contentType));
}

function isObject(body: unknown): boolean {
  return typeof body === 'object' && body !== null;
}
