import { FlowError, codeOf, messageOf } from '../../shared/errors';
import { ApiCode, explainPermission } from '../server/errors';

interface ApiErrorShape {
  api_error?: { err_code?: number; description?: string };
}

/** Why a publish got no PubAck, in words. Everything but a message that can never fit is worth another try. */
export function explainPublish(thrown: unknown, subject: string, size: number, domain?: string): FlowError {
  if (thrown instanceof FlowError) return thrown;
  const refused = explainPermission(thrown);
  if (refused) return refused;
  const say = (code: string, sentence: string, retryable = true): FlowError =>
    new FlowError(code, sentence, retryable, { cause: thrown });
  const api = (thrown as ApiErrorShape).api_error;
  if (api?.err_code === ApiCode.streamStoreFailed) {
    return say(
      'STREAM_FULL',
      `The stream refuses "${subject}": ${api.description ?? 'it is full'}; raise its limits, or let it discard old messages`,
    );
  }
  if (api?.err_code === ApiCode.messageTooLarge) {
    return say(
      'MESSAGE_TOO_LARGE',
      `The message for "${subject}" (${size} bytes) is larger than its stream's maximum message size: raise that, or send less`,
      false,
    );
  }
  if (api?.err_code === ApiCode.headersTooLarge) {
    return say(
      'MESSAGE_TOO_LARGE',
      `The headers of the message for "${subject}" are larger than a stream takes (64 KiB): send less in them`,
      false,
    );
  }
  if (api?.err_code) {
    return say(
      `JETSTREAM_${api.err_code}`,
      `The stream refuses "${subject}": ${api.description ?? 'unknown error'} (${api.err_code})`,
    );
  }
  switch (codeOf(thrown)) {
    case '503':
      return say(
        'NO_STREAM',
        `No stream takes "${subject}"${domain ? ` in the domain "${domain}"` : ''}: create one, or add the subject to a stream`,
      );
    case 'TIMEOUT':
      return say(
        'TIMEOUT',
        `No confirmation for "${subject}" in time: the message may be stored all the same; repeat it with the same message id`,
      );
    case 'MAX_PAYLOAD_EXCEEDED':
      return say(
        'MESSAGE_TOO_LARGE',
        `The message for "${subject}" (${size} bytes) is larger than the server's max_payload: send less, or raise it`,
        false,
      );
    case 'CONNECTION_CLOSED':
    case 'DISCONNECT':
      return say(
        'DISCONNECTED',
        `The connection was lost while "${subject}" was being published: it may be stored all the same; repeat it with the same message id`,
      );
    default:
      return say(
        codeOf(thrown, 'PUBLISH_FAILED'),
        `"${subject}" could not be published: ${messageOf(thrown)}`,
      );
  }
}
