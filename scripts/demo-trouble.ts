import type { FlowNode } from '../test/support/node-red';

const TAB = 'de3007ab1e000001';
const INFO = `**An outage.** Press *the org goes down*, then publish contacts on the first tab: they wait, and its nodes say so.
Press *the org comes back*: they are written, and none was tried in vain.

**A dead letter.** The org has a rule now that the contact breaks: it is given up, and comes out of *dead letters* below.
When the rule is lifted, open the operations tab (the heart in the sidebar), unfold the dead letters of *start_subscription*,
tick the contact and press *Replay*: it is written, and no dead letter any more.`;

const id = (n: number): string => `de3007ab1e0000${n.toString(16).padStart(2, '0')}`;

/** What the rest of the demo has. */
export interface Surroundings {
  /** Ids of its config nodes. */
  server: string;
  /** Address of the simulated org. */
  orgUrl: string;
}

const CONTACT = { ExternalId__c: 'RULED-1', LastName: 'Curie' };
const RULE = {
  match: { record: CONTACT.ExternalId__c },
  action: {
    rowError: {
      statusCode: 'FIELD_CUSTOM_VALIDATION_EXCEPTION',
      message: 'A contact needs a phone number',
      fields: ['Phone'],
    },
  },
};

/**
 * A tab that shows failures by button: an outage of the org, during which nothing is lost and no try is used up, and
 * a contact that the org refuses until a rule is lifted, which ends as a dead letter and can be replayed.
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
  const ruled = faults('POST', 'the org wants a phone number', 300);
  const lifted = faults('DELETE', 'the org takes it again', 420);
  const publish = node('jetstream-out', 360, 430, { server, subject: 'crm.contacts.upsert', wires: [[]] });
  const letters = node('debug', 500, 430, {
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
    { id: TAB, type: 'tab', label: 'When something fails', info: INFO },
    node('comment', 50, 300, { name: 'An outage: press the first, and later the second' }),
    button('the org goes down', 100, [{ match: { path: '/services/' }, action: { status: 503 } }], down),
    button('the org comes back', 160, [], back),
    down,
    back,
    node('comment', 250, 300, { name: 'A dead letter: press from top to bottom, then replay it' }),
    button('a rule is made', 300, [RULE], ruled),
    button('publish a contact', 360, CONTACT, publish),
    button('the rule is lifted', 420, [], lifted),
    ruled,
    publish,
    lifted,
    node('jetstream-in', 500, 170, {
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
