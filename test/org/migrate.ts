import { type OrgState } from './state';

/** The same server by its other name. */
export function migrate(org: OrgState): void {
  const from = new URL(org.url);
  const to = new URL(org.url);
  to.hostname = from.hostname === 'localhost' ? '127.0.0.1' : 'localhost';
  org.movedFrom = from.host;
  org.url = to.origin;
}
