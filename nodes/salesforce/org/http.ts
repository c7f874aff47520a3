import { HttpClient as Client, type LostRequest } from '../../shared/http/client';
import { OrgOutage } from './outage';

export type { HttpAnswer, HttpRequest } from '../../shared/http/client';

/** jsforce opens (and TLS-handshakes) a new connection for each request, repeats some by itself, and hides the status. */
export class HttpClient extends Client {
  constructor(largest?: number) {
    super({
      address: 'the login URL',
      other: 'the org',
      lost: orgLost,
      largest,
    });
  }
}

export function orgLost({ code = 'ORG_UNREACHABLE', message, sent, cause }: LostRequest): OrgOutage {
  return new OrgOutage('unreachable', code, message, sent, { cause });
}
