import { bytesOf } from '../../shared/bytes';
import { FlowError, messageOf } from '../../shared/errors';
import { stringifyJson, unsayableIn } from '../../shared/json';
import { refuseTooDeep } from '../../shared/payload';
import { compileText, literalStart, type TemplateScope } from '../../shared/template';
import { escapeToken } from '../../shared/token';
import type { Header } from './headers';
import type { Outgoing } from './publisher';
import { say } from '../../shared/say';

export interface OutgoingSettings {
  subject: string;
  /** Each value within a longer subject becomes one token. */
  escapeTokens: boolean;
  msgId: string;
  headers: Header[];
}

/**
 * Subject, message id and headers as templates over a message. A message chooses only within what stands in the
 * settings: neither a subject of the server ($…), an inbox, nor an order to the server (Nats-…) can come from
 * it. Throws INVALID_SUBJECT and INVALID_HEADER, permanent, and what templates throw.
 */
export function compileOutgoing(
  settings: OutgoingSettings,
  inboxPrefix = '',
): (scope: TemplateScope) => Omit<Outgoing, 'data'> {
  const { subject, escapeTokens, msgId } = settings;
  const subjectOf = compileText(subject, {
    identifies: true,
    escape: escapeTokens ? escapeToken : undefined,
  });
  const msgIdOf = compileText(msgId, { identifies: true });
  const start = literalStart(subject);
  const fixed = new Set(settings.headers.map(({ name }) => name.toLowerCase()));
  const headers = settings.headers.map(({ name, value }) => {
    const nameOf = compileText(name);
    const valueOf = compileText(value);
    const chosen = literalStart(name) !== name;
    const valueStart = literalStart(value);
    return (scope: TemplateScope): [string, string] => {
      const [header, text] = [nameOf(scope), valueOf(scope)];
      const order = /^nats-/i.test(header);
      if (chosen && (order || fixed.has(header.toLowerCase()))) throw chosenHeader(header);
      if (order && isReserved(text, valueStart, inboxPrefix)) throw reserved(say`The header ${name}`, text);
      return [header, text];
    };
  });
  return (scope) => {
    const to = subjectOf(scope);
    if (isReserved(to, start, inboxPrefix)) throw reserved(say`The subject`, to);
    return {
      subject: to,
      ...(msgId !== '' && { msgId: msgIdOf(scope) }),
      headers: Object.fromEntries(headers.map((header) => header(scope))),
    };
  };
}

/** Whether a text is a subject of the server or an inbox, without its first token standing in the setting. */
function isReserved(text: string, literal: string, inboxPrefix: string): boolean {
  const starts = ['$', '_INBOX', ...(inboxPrefix === '' ? [] : [inboxPrefix])];
  return starts.some((start) => {
    if (!text.startsWith(start)) return false;
    const dot = text.indexOf('.', start.length);
    return literal.length < (dot < 0 ? text.length : dot + 1);
  });
}

function reserved(what: string, text: string): FlowError {
  return new FlowError(
    'INVALID_SUBJECT',
    say`${what} ${JSON.stringify(text.slice(0, 120))} is one of the server's own, or an inbox, and comes from the message: if it is meant, let its first token stand in the setting, before the first template`,
    false,
  );
}

function chosenHeader(name: string): FlowError {
  return new FlowError(
    'INVALID_HEADER',
    say`The message may not choose the header ${JSON.stringify(name.slice(0, 100))}: what begins with Nats- is an order to the server, and a name in the settings is taken; write it in the settings as it is`,
    false,
  );
}

/** Text and bytes as they are, everything else as JSON. Throws NO_PAYLOAD, BAD_PAYLOAD and INVALID_PAYLOAD, permanent, for what JSON can't say. */
export function encodePayload(payload: unknown): Uint8Array | string {
  if (typeof payload === 'string') return payload;
  const json = written(payload);
  if (json !== undefined) return json;
  throw new FlowError(
    'NO_PAYLOAD',
    say`The message has no payload to publish: set msg.payload (null is sent as null)`,
    false,
  );
}

function written(payload: unknown): Uint8Array | string | undefined {
  try {
    // A buffer that was handed over to a worker can't be read any more.
    const bytes = bytesOf(payload);
    if (bytes) return bytes;
    const json = stringifyJson(refuseTooDeep(payload));
    // Written as null or as an empty object, which is quickly seen.
    const lost = json !== undefined && /null|\{\}/.test(json) ? unsayableIn(payload, 'it') : undefined;
    if (lost !== undefined) throw new TypeError(say`${lost}, which JSON has no word for`);
    return json;
  } catch (error) {
    if (error instanceof FlowError) throw error;
    throw new FlowError(
      'INVALID_PAYLOAD',
      say`msg.payload can't be written: ${messageOf(error)}; send a text, bytes, or plain values`,
      false,
    );
  }
}
