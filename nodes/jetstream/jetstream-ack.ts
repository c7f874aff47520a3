import type { Node, NodeAPI, NodeDef, NodeMessage } from 'node-red';
import type { Command } from '../shared/delivery';
import { parseDuration } from '../shared/duration';
import { FlowError } from '../shared/errors';
import { commandDelivery } from '../shared/flow-completion';

interface AckDef extends NodeDef {
  /** `msg`: msg.ack says which, as a word or as {action, delay}. */
  action: Command['action'] | 'msg';
  delay?: string;
}

const ACTIONS: readonly string[] = ['ack', 'nak', 'term', 'progress'] satisfies Command['action'][];

export default function (RED: NodeAPI): void {
  function JetstreamAck(this: Node, def: AckDef): void {
    RED.nodes.createNode(this, def);

    this.on('input', (msg, send, done) => {
      try {
        const command = commandOf(def, msg);
        if (!commandDelivery(msg, command)) {
          this.warn(
            `Nothing to ${command.action}: the message is settled already, or no jetstream-in node of this Node-RED delivered it`,
          );
        }
      } catch (error) {
        return done(error as Error);
      }
      send(msg);
      done();
    });
  }

  RED.nodes.registerType('jetstream-ack', JetstreamAck);
}

function commandOf(def: AckDef, msg: NodeMessage): Command {
  const said = def.action === 'msg' ? msg.ack : def.action;
  const { action, delay } =
    typeof said === 'object' && said !== null
      ? (said as { action?: unknown; delay?: unknown })
      : { action: said, delay: undefined };
  if (typeof action !== 'string' || !ACTIONS.includes(action)) {
    throw new FlowError(
      'INVALID_ACTION',
      `msg.ack says ${JSON.stringify(action)}: it must be one of ${ACTIONS.join(', ')}, or an object with action and delay`,
      false,
    );
  }
  const wait = (delay ?? def.delay ?? '') as string | number;
  return {
    action: action as Command['action'],
    ...(wait === '' ? {} : { delay: parseDuration(wait, 'Delay') }),
  };
}
