import type { FlowNode } from '../test/support/node-red';

const TAB = 'de3007ab1e000001';
const id = (n: number): string => `de3007ab1e0000${n.toString(16).padStart(2, '0')}`;

/** What the rest of the demo has. */
export interface Surroundings {
  /** Ids of its config nodes. */
  server: string;
  /** Address of the simulated org. */
  orgUrl: string;
}

/**
 * A tab that shows failures by button: an outage of the org, during which nothing is lost and no try is used up, and
 * contacts that the org refuses, which end as dead letters.
 */
export function troubleTab({ server, orgUrl }: Surroundings): FlowNode[] {
  let next = 1;
  const node = (type: string, y: number, x: number, more: object): FlowNode => ({
    id: id(++next),
    type,
    z: TAB,
    x,
    y,
    wires: [],
    ...more,
  });
  const button = (name: string, y: number, payload: object, to: FlowNode): FlowNode =>
    node('inject', y, 170, {
      name,
      props: [{ p: 'payload', v: JSON.stringify(payload), vt: 'json' }],
      ...{ repeat: '', crontab: '', once: false, onceDelay: 0.1, topic: '' },
      wires: [[to.id]],
    });
  const faults = (method: string, name: string, y: number): FlowNode =>
    node('http request', y, 430, { name, method, ret: 'txt', url: `${orgUrl}/_org/faults`, wires: [[]] });
  const down = faults('POST', 'the org answers 503', 100);
  const back = faults('DELETE', 'the org is well', 160);
  const publish = node('jetstream-out', 300, 430, { server, subject: 'crm.contacts.upsert', wires: [[]] });
  const letters = node('debug', 360, 430, {
    name: 'dead letter',
    active: true,
    tosidebar: true,
    complete: 'jetstream.headers',
    targetType: 'msg',
    tostatus: true,
    statusVal: 'jetstream.headers."Jetforce-Code"',
    statusType: 'jsonata',
  });
  return [
    { id: TAB, type: 'tab', label: 'When something fails' },
    node('comment', 50, 300, {
      name: 'An outage: press both, and publish contacts meanwhile on the first tab',
    }),
    button('the org goes down', 100, [{ match: { path: '/services/' }, action: { status: 503 } }], down),
    button('the org comes back', 160, [], back),
    down,
    back,
    node('comment', 250, 300, { name: 'A contact without a name is refused, and becomes a dead letter' }),
    button('publish a bad contact', 300, { ExternalId__c: 'BAD-1' }, publish),
    publish,
    node('jetstream-in', 360, 170, {
      name: 'dead letters',
      server,
      stream: 'crm',
      subject: 'crm.dead.>',
      durable: 'demo_dead_letters',
      wires: [[letters.id]],
    }),
    letters,
  ];
}
