import { HttpClient as Client, type LostRequest } from '../../shared/http/client';
import { OrgOutage } from './outage';
import { say } from '../../shared/say';

export type { HttpAnswer, HttpRequest } from '../../shared/http/client';

/** jsforce opens (and TLS-handshakes) a new connection for each request, repeats some by itself, and hides the status. */
export class HttpClient extends Client {
  constructor(largest?: number) {
    super({
      address: say`the login URL`,
      other: say`the org`,
      lost: orgLost,
      largest,
    });
  }
}

export function orgLost({ code = 'ORG_UNREACHABLE', message, sent, cause }: LostRequest): OrgOutage {
  return new OrgOutage('unreachable', code, message, sent, { cause });
}
