import type { Headers } from './limiter';

/** A link's target, and its parameters. */
const LINK = /<([^>]*)>((?:\s*;\s*[^\s=;,]+(?:\s*=\s*(?:"[^"]*"|[^";,]*))?)*)/g;
const REL = /;\s*rel\s*=\s*(?:"([^"]*)"|'?([^"';,\s]*))/i;

/** The URL that a Link header (RFC 8288) has for a relation; undefined where it has none. */
export function linked({ link }: Headers, rel: 'next' | 'prev', url: string): string | undefined {
  for (const [, target = '', parameters = ''] of String(link ?? '').matchAll(LINK)) {
    const [, quoted, plain] = REL.exec(parameters) ?? [];
    const relations = (quoted ?? plain ?? '').toLowerCase().split(/\s+/);
    if (relations.includes(rel)) return absolute(target, url);
  }
  return undefined;
}

/** As a browser would read it on the page of that URL: an API behind a proxy may not know that it is asked by https. */
export function absolute(target: string, url: string): string | undefined {
  if (!URL.canParse(target, url)) return undefined;
  const base = new URL(url);
  const found = new URL(target, url);
  const behind = found.protocol === 'http:' && base.protocol === 'https:' && found.hostname === base.hostname;
  return behind ? base.origin + found.pathname + found.search : found.href;
}
