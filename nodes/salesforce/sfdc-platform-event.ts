import type { Node, NodeAPI, NodeDef, NodeMessage } from 'node-red';
import { FlowError, messageOf } from '../shared/errors';
import { pauseProcessing } from '../shared/flow-completion';
import { compilePayload, type PayloadConfig } from '../shared/payload';
import { StatusReporter } from '../shared/status';
import { eventIds } from './event-ids';
import { inTurn } from './in-turn';
import { invalid } from './limits';
import { orgStatus } from './org-status';
import { Publisher, type PublisherOptions } from './pubsub-publisher';
import type { PublishResult } from './pubsub-queue';
import { pubsubOf } from './sfdc-org';

interface PlatformEventDef extends NodeDef {
  org: string;
  /** "/event/OrderStatus__e" */
  topic: string;
  payload?: PayloadConfig;
  maxRequests?: number | string;
  onOutage?: 'hold' | 'fail';
}

/** Node-RED gives up on a node that isn't closed after 15 s. */
const CLOSE_MS = 12_000;

export default function (RED: NodeAPI): void {
  function SfdcPlatformEvent(this: Node, def: PlatformEventDef): void {
    RED.nodes.createNode(this, def);
    const status = new StatusReporter(this);
    const setUp = () => {
      const { org, pubsub } = pubsubOf(RED, def.org);
      const payloadOf = compilePayload(RED, this, def.payload ?? { mode: 'event' });
      return { org, pubsub, payloadOf, options: optionsOf(def) };
    };
    let ready: ReturnType<typeof setUp>;
    try {
      ready = setUp();
    } catch (error) {
      this.on('input', (_msg, _send, done) => done(error as Error));
      this.error(messageOf(error));
      status.show({ fill: 'red', shape: 'ring', text: RED._('status.misconfigured') });
      return;
    }

    const { org, pubsub, payloadOf, options } = ready;
    const publisher = new Publisher(pubsub, options, () => show());
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
    org.register(this);
    show();

    const ordered = inTurn();
    const publish = async (msg: NodeMessage): Promise<PublishResult[]> => {
      const given = payloadOf(msg);
      const payload: unknown = given instanceof Promise ? await ordered(given) : given;
      const records: unknown[] = Array.isArray(payload) ? payload : [payload];
      return publisher.publish(records, eventIds(msg, this.id, records), () => pauseProcessing(msg));
    };

    this.on('input', (msg, send, done) => {
      publish(msg).then((results) => {
        send({ ...msg, payload: results, sfdc: { topic: options.topic } });
        done();
      }, done);
    });

    this.on('close', (_removed: boolean, done: () => void) => {
      void publisher.close(CLOSE_MS).finally(() => {
        stop();
        org.deregister(this);
        done();
      });
    });
  }

  RED.nodes.registerType('sfdc-platform-event', SfdcPlatformEvent);
}

const MAX_REQUESTS = 4;

function optionsOf(def: PlatformEventDef): PublisherOptions {
  const topic = (def.topic ?? '').trim();
  if (!/^\/\w+\/\w+$/.test(topic)) {
    throw new FlowError(
      'INVALID_TOPIC',
      `"${topic}" is not a topic to publish to; set one in the node, for example /event/OrderStatus__e`,
      false,
    );
  }
  const maxRequests =
    def.maxRequests === undefined || def.maxRequests === '' ? MAX_REQUESTS : Number(def.maxRequests);
  if (!(Number.isInteger(maxRequests) && maxRequests >= 1 && maxRequests <= 25))
    throw invalid(
      'INVALID_SETTING',
      `maxRequests: ${def.maxRequests} is not a whole number between 1 and 25`,
    );
  return { topic, maxRequests, onOutage: def.onOutage === 'fail' ? 'fail' : 'hold' };
}
