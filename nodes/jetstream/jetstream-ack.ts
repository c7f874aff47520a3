import type { Node, NodeAPI, NodeDef, NodeMessage } from 'node-red';
import type { Command } from '../shared/flow/delivery';
import { FlowError, messageOf } from '../shared/errors';
import { commandDelivery } from '../shared/flow/in-flow';
import { onInput, refuseInput } from '../shared/flow/input';
import { parseSetting, parseDeployed, type Settings, type Stored } from '../shared/settings/settings';
import { jetstreamAck } from './jetstream-ack.settings';
import { say } from '../shared/say';
import { speak } from '../shared/language';

type AckDef = NodeDef & Stored<typeof jetstreamAck>;
type AckSettings = Settings<typeof jetstreamAck>;

const ACTIONS: readonly string[] = ['ack', 'nak', 'term', 'progress'] satisfies Command['action'][];

export default function (RED: NodeAPI): void {
  speak(RED._('language'));

  function JetstreamAck(this: Node, def: AckDef): void {
    RED.nodes.createNode(this, def);
    let settings: AckSettings;
    try {
      settings = parseDeployed(jetstreamAck, def);
    } catch (error) {
      refuseInput(this, error);
      return;
    }

    onInput(this, (msg) => {
      const command = commandOf(settings, msg);
      if (!commandDelivery(msg, command)) {
        this.warn(
          say`Nothing to ${command.action}: the message is settled already, or no jetstream-in node of this Node-RED delivered it`,
        );
      }
      return msg;
    });
  }

  RED.nodes.registerType('jetstream-ack', JetstreamAck);
}

function commandOf(settings: AckSettings, msg: NodeMessage): Command {
  const said = settings.action === 'msg' ? msg.ack : settings.action;
  const { action, delay } =
    typeof said === 'object' && said !== null
      ? (said as { action?: unknown; delay?: unknown })
      : { action: said, delay: undefined };
  if (typeof action !== 'string' || !ACTIONS.includes(action)) {
    throw new FlowError(
      'INVALID_ACTION',
      say`msg.ack says ${messageOf(action)}: it must be one of ${ACTIONS.join(', ')}, or an object with action and delay`,
      false,
    );
  }
  const wait =
    delay === undefined || delay === null
      ? settings.delay
      : parseSetting(jetstreamAck.settings.delay, delay, 'msg.ack.delay');
  return { action: action as Command['action'], ...(wait === undefined ? {} : { delay: wait }) };
}
