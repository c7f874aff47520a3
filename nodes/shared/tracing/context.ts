/**
 * Where a message is in a trace that goes over many systems, as two headers of W3C Trace Context
 * (https://www.w3.org/TR/trace-context). In a flow they are properties of the message.
 */
export interface TraceContext {
  traceparent: string;
  tracestate?: string;
}

/** Whatever may hold them: headers with one value or several, or a message that anybody may have changed. */
export interface Carrier {
  traceparent?: unknown;
  tracestate?: unknown;
}

type Headers = Readonly<Record<string, unknown>>;

/** Version, trace id, parent id, flags; a later version may have more behind them. */
const PARENT = /^(?!ff)([\da-f]{2})-(?!0{32})[\da-f]{32}-(?!0{16})[\da-f]{16}-[\da-f]{2}(-[\x21-\x7e]*)?$/;
const LONGEST_PARENT = 200;
const MEMBER = /^[a-z\d][-_a-z\d*/]{0,255}(?:@[a-z][-_a-z\d*/]{0,13})?=[\x20-\x2b\x2d-\x3c\x3e-\x7e]{1,256}$/;
const MOST_MEMBERS = 32;
const LONGEST_STATE = 8_192;
const NONE: readonly TraceContext[] = [];

/** What a carrier says, if that is a context: a `traceparent` that is none is as good as none, and so is a `tracestate`. */
export function traceOf({ traceparent, tracestate }: Carrier): TraceContext | undefined {
  if (typeof traceparent !== 'string' || !isParent(traceparent)) return undefined;
  const state = Array.isArray(tracestate) ? tracestate.join(',') : tracestate;
  return typeof state === 'string' && isState(state) ? { traceparent, tracestate: state } : { traceparent };
}

/** Of the headers of a message, or of each of a batch: the contexts that differ, in their order. */
export function tracesIn(headers: unknown): readonly TraceContext[] {
  if (typeof headers !== 'object' || headers === null) return NONE;
  if (!Array.isArray(headers)) {
    const only = inHeaders(headers as Headers);
    return only ? [only] : NONE;
  }
  return distinct((headers as Headers[]).map(inHeaders));
}

/** Each once. */
export function distinct(contexts: Iterable<TraceContext | undefined>): readonly TraceContext[] {
  const found = new Map<string, TraceContext>();
  for (const context of contexts) if (context) found.set(context.traceparent, context);
  return [...found.values()];
}

/** Writes the context on a message, or on headers. */
export function carry(carrier: Carrier, { traceparent, tracestate }: TraceContext): void {
  carrier.traceparent = traceparent;
  if (tracestate === undefined) delete carrier.tracestate;
  else carrier.tracestate = tracestate;
}

/** Clients of some languages write names of headers with a capital. */
function inHeaders(headers: Headers): TraceContext | undefined {
  const traceparent = headers.traceparent ?? headers.Traceparent;
  if (traceparent === undefined) return undefined;
  return traceOf({ traceparent, tracestate: headers.tracestate ?? headers.Tracestate });
}

function isParent(text: string): boolean {
  if (text.length > LONGEST_PARENT) return false;
  const [, version, more] = PARENT.exec(text) ?? [];
  return version !== undefined && (version !== '00' || more === undefined);
}

function isState(text: string): boolean {
  if (text === '' || text.length > LONGEST_STATE) return false;
  const members = text.split(',').map((member) => member.replace(/^[ \t]+|[ \t]+$/g, ''));
  const keys = members
    .filter((member) => member !== '')
    .map((member) => member.slice(0, member.indexOf('=')));
  return (
    keys.length > 0 &&
    members.length <= MOST_MEMBERS &&
    new Set(keys).size === keys.length &&
    members.every((member) => member === '' || MEMBER.test(member))
  );
}
