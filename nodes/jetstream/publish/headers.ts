import { FlowError } from '../../shared/errors';
import { headerNameTemplate, template, type Fault } from '../../shared/settings/formats';
import { wrong, type Options, type Setting } from '../../shared/settings/settings';
import { say } from '../../shared/say';

/** A header to publish with; both are templates. */
export interface Header {
  name: string;
  value: string;
}

export function headers(options: Options<Header[]> = {}): Setting<Header[], Header[]> {
  return {
    ...options,
    kind: 'headers',
    default: [],
    fault: headerNameTemplate.fault,
    parse(stored, title) {
      if (Array.isArray(stored) && stored.every(isHeader))
        return stored.map(({ name, value }) => ({ name: checked(name.trim()), value }));
      throw wrong('INVALID_HEADER', title, stored, say`is not a list of headers, each with name and value`);
    },
    check: (stored) => (stored as Header[]).map(faultOf).find((fault) => fault !== undefined),
  };
}

function isHeader(header: unknown): header is Header {
  const { name, value } = (header ?? {}) as Partial<Record<keyof Header, unknown>>;
  return typeof name === 'string' && typeof value === 'string';
}

function checked(name: string): string {
  if (headerNameTemplate.check(name) === undefined) return name;
  throw new FlowError(
    'INVALID_HEADER',
    say`"${name}" is not a header name: letters, digits and dashes, no blanks or colons; templates such as {{payload.kind}}`,
    false,
  );
}

function faultOf({ name, value }: Header): Fault | undefined {
  return headerNameTemplate.check(name) ?? template.check(value);
}
