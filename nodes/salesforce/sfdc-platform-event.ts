import type { Node, NodeAPI, NodeDef, NodeMessage } from 'node-red';
import { holdOf, pauseProcessing } from '../shared/flow/in-flow';
import { onInput, refuseInput } from '../shared/flow/input';
import { operate } from '../shared/operations/registry';
import { compilePayload, refuseTooDeep } from '../shared/payload';
import { parseDeployed, type Stored } from '../shared/settings/settings';
import { StatusReporter } from '../shared/status';
import type { Carrier } from '../shared/tracing/context';
import { inSpan, tracerOf } from '../shared/tracing/tracer';
import { eventIds } from './events/event-ids';
import { inTurn } from '../shared/async/in-order';
import { heldByOrg } from './org/state';
import { orgStatus } from './org/status';
import { Publisher } from './events/publisher';
import type { PublishResult } from './events/queue';
import { pubsubOf } from './sfdc-org';
import { sfdcPlatformEvent } from './sfdc-platform-event.settings';
import { speak } from '../shared/language';

type PlatformEventDef = NodeDef & Stored<typeof sfdcPlatformEvent>;

/** Node-RED gives up on a node that isn't closed after 15 s. */
const CLOSE_MS = 12_000;

export default function (RED: NodeAPI): void {
  speak(RED._('language'));

  function SfdcPlatformEvent(this: Node, def: PlatformEventDef): void {
    RED.nodes.createNode(this, def);
    const status = new StatusReporter(this);
    const setUp = () => {
      const settings = parseDeployed(sfdcPlatformEvent, def);
      const { org, pubsub } = pubsubOf(RED, settings.org);
      return { org, pubsub, settings, payloadOf: compilePayload(RED, this, settings.payload) };
    };
    let ready: ReturnType<typeof setUp>;
    try {
      ready = setUp();
    } catch (error) {
      refuseInput(this, error);
      status.show({ fill: 'red', shape: 'ring', text: RED._('status.misconfigured') });
      return;
    }

    const { org, pubsub, payloadOf, settings } = ready;
    const tracer = tracerOf(RED);
    const publisher = new Publisher(pubsub, settings, () => show());
    const { show, stop } = orgStatus(
      status,
      pubsub,
      (key, values) => RED._(key, values),
      () => {
        const { requests, events, waiting } = publisher.state;
        if (requests === 0) return undefined;
        const key = waiting > 0 ? 'status.publishingMore' : 'status.publishing';
        return { fill: 'blue', shape: 'dot', text: RED._(key, { events, waiting }) };
      },
    );
    let messages = 0;
    const named = { id: this.id, name: this.name || settings.topic };
    const unlist = operate({
      ...{ kind: 'writers', ...named },
      state: () =>
        pubsub.session.secrets.inValue({
          ...named,
          messages,
          held: heldByOrg(pubsub.availability.current),
        }),
    });
    org.register(this);
    show();

    const ordered = inTurn();
    const publish = async (msg: NodeMessage): Promise<PublishResult[]> => {
      const hold = holdOf(msg);
      const given = payloadOf(msg);
      const payload: unknown = refuseTooDeep(given instanceof Promise ? await ordered(given) : given);
      const records: unknown[] = Array.isArray(payload) ? payload : [payload];
      return publisher.publish(records, eventIds(msg, this.id, records), () => pauseProcessing(msg), hold);
    };

    const span = { name: `publish ${settings.topic}`, kind: 'PRODUCER' } as const;
    onInput(this, async (msg) => ({
      ...msg,
      payload: await inSpan(tracer, span, msg as Carrier, () => {
        messages++;
        return publish(msg).finally(() => messages--);
      }),
      sfdc: { topic: settings.topic },
    }));

    this.on('close', (_removed: boolean, done: () => void) => {
      unlist();
      void publisher.close(CLOSE_MS).finally(() => {
        stop();
        org.deregister(this);
        done();
      });
    });
  }

  RED.nodes.registerType('sfdc-platform-event', SfdcPlatformEvent);
}
