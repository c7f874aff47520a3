import { FlowError, codeOf, messageOf } from '../../shared/errors';
import { ApiCode, explainPermission } from '../server/errors';
import { say } from '../../shared/say';

/** Of its store, which takes about 32 MB; older servers have it with one "o". */
const TOO_LARGE = /^message too? large$/i;

/** Of the account, the server, its disk, its memory: whatever the stream and the message. */
const NO_ROOM = new Set<number>([10002, 10023, 10028, 10047]);
const DISK = /no space left|disk quota|input\/output error|read-only file system/i;

interface ApiErrorShape {
  api_error?: { err_code?: number; description?: string };
}

/** Why a publish got no PubAck, in words. Everything but a message that can never fit is worth another try. */
export function explainPublish(thrown: unknown, subject: string, size: number, domain?: string): FlowError {
  if (thrown instanceof FlowError) return thrown;
  const refused = explainPermission(thrown);
  if (refused) return refused;
  const failure = (code: string, sentence: string, retryable = true): FlowError =>
    new FlowError(code, sentence, retryable, { cause: thrown });
  const api = (thrown as ApiErrorShape).api_error;
  if (api?.err_code === ApiCode.streamStoreFailed && TOO_LARGE.test(api.description ?? '')) {
    return failure(
      'MESSAGE_TOO_LARGE',
      say`The message for "${subject}" (${size} bytes) is larger than nats-server can store, whatever its max_payload: send less`,
      false,
    );
  }
  if (api?.err_code !== undefined && (NO_ROOM.has(api.err_code) || DISK.test(api.description ?? ''))) {
    return failure(
      'STORE_FULL',
      say`JetStream has no room for "${subject}" (${api.description ?? api.err_code}): free space on the disk of the nats-server, or raise what the server or the account may store`,
    );
  }
  if (api?.err_code === ApiCode.streamStoreFailed) {
    return failure(
      'STREAM_FULL',
      say`The stream refuses "${subject}": ${api.description ?? say`it is full`}; raise its limits, or let it discard old messages`,
    );
  }
  if (api?.err_code === ApiCode.messageTooLarge) {
    return failure(
      'MESSAGE_TOO_LARGE',
      say`The message for "${subject}" (${size} bytes) is larger than its stream's maximum message size: raise that, or send less`,
      false,
    );
  }
  if (api?.err_code === ApiCode.headersTooLarge) {
    return failure(
      'MESSAGE_TOO_LARGE',
      say`The headers of the message for "${subject}" are larger than a stream takes (64 KiB): send less in them`,
      false,
    );
  }
  if (api?.err_code) {
    return failure(
      `JETSTREAM_${api.err_code}`,
      say`The stream refuses "${subject}": ${api.description ?? say`unknown error`} (${api.err_code})`,
    );
  }
  switch (codeOf(thrown)) {
    case '503':
      return failure(
        'NO_STREAM',
        say`No stream takes "${subject}"${domain ? say` in the domain "${domain}"` : ''}: create one, or add the subject to a stream`,
      );
    case 'TIMEOUT':
      return failure(
        'TIMEOUT',
        say`No confirmation for "${subject}" in time: the message may be stored all the same; repeat it with the same message id`,
      );
    case 'MAX_PAYLOAD_EXCEEDED':
      return failure(
        'MESSAGE_TOO_LARGE',
        say`The message for "${subject}" (${size} bytes) is larger than the server's max_payload: send less, or raise it`,
        false,
      );
    case 'CONNECTION_CLOSED':
    case 'DISCONNECT':
      return failure(
        'DISCONNECTED',
        say`The connection was lost while "${subject}" was being published: it may be stored all the same; repeat it with the same message id`,
      );
    default:
      return failure(
        codeOf(thrown, 'PUBLISH_FAILED'),
        say`"${subject}" could not be published: ${messageOf(thrown)}`,
      );
  }
}
