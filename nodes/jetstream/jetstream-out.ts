import type { Node, NodeAPI, NodeDef, NodeMessage } from 'node-red';
import { pauseProcessing } from '../shared/flow/completion';
import { FlowError, messageOf } from '../shared/errors';
import { parseSettings, type Settings, type Stored } from '../shared/settings/settings';
import { StatusReporter } from '../shared/status';
import { compileTemplate, templateScope, type Template, type TemplateScope } from '../shared/template';
import type { Connection, ConnectionState } from './server/connection';
import { jetstreamOut } from './jetstream-out.settings';
import { connectionOf } from './jetstream-server';
import { Publisher, type Outgoing } from './publish/publisher';

type OutDef = NodeDef & Stored<typeof jetstreamOut>;

export default function (RED: NodeAPI): void {
  function JetstreamOut(this: Node, def: OutDef): void {
    RED.nodes.createNode(this, def);
    const status = new StatusReporter(this);
    let connection: Connection;
    let settings: Settings<typeof jetstreamOut>;
    let render: (scope: TemplateScope) => Omit<Outgoing, 'data'>;
    try {
      settings = parseSettings(jetstreamOut, def);
      connection = connectionOf(RED, settings.server);
      render = compileOutgoing(settings);
    } catch (error) {
      this.on('input', (_msg, _send, done) => done(error as Error));
      this.error(messageOf(error));
      status.show({ fill: 'red', shape: 'ring', text: RED._('status.misconfigured') });
      return;
    }

    const publisher = new Publisher(connection, settings.window);
    const show = (state: ConnectionState): void => {
      if (state.phase === 'connected')
        status.show({ fill: 'green', shape: 'dot', text: RED._('status.ready') });
      else if (state.phase === 'connecting')
        status.show({ fill: 'yellow', shape: 'ring', text: RED._('status.connecting') });
      else if (state.phase === 'disconnected')
        status.show({ fill: 'red', shape: 'ring', text: RED._('status.disconnected') });
    };
    const release = connection.use({ state: show });
    show(connection.state);

    const publish = async (msg: NodeMessage): Promise<void> => {
      const scope = templateScope(msg, (name) => RED.util.evaluateNodeProperty(name, 'env', this, msg));
      const outgoing = { ...render(scope), data: encode(msg.payload) };
      // Waiting for a server that is away is not the flow's hanging.
      const resume = connection.open ? undefined : pauseProcessing(msg);
      try {
        const ack = await publisher.publish(outgoing);
        msg.jetstream = { ...(msg.jetstream as object | undefined), ack };
      } finally {
        resume?.();
      }
    };

    this.on('input', (msg, send, done) => {
      publish(msg).then(
        () => {
          send(msg);
          done();
        },
        (error: unknown) => done(connection.secrets.inError(error) as Error),
      );
    });

    this.on('close', (_removed: boolean, done: () => void) => {
      publisher.stop();
      status.stop();
      void release().finally(done);
    });
  }

  RED.nodes.registerType('jetstream-out', JetstreamOut);
}

/** Subject, message id and headers as templates over the message; msg.headers are the flow's business, not sent. */
function compileOutgoing(
  settings: Settings<typeof jetstreamOut>,
): (scope: TemplateScope) => Omit<Outgoing, 'data'> {
  const subject = compileTemplate(settings.subject);
  const msgId = settings.msgId ? compileTemplate(settings.msgId) : undefined;
  const headers = settings.headers.map(({ name, value }) => ({ name, value: compileTemplate(value) }));
  return (scope) => ({
    subject: textOf(subject, scope),
    ...(msgId ? { msgId: checkHeaderValue('The message id', textOf(msgId, scope)) } : {}),
    headers: Object.fromEntries(
      headers.map(({ name, value }) => [name, checkHeaderValue(name, textOf(value, scope))]),
    ),
  });
}

function textOf(template: Template, scope: TemplateScope): string {
  const value = template(scope);
  return typeof value === 'string' ? value : JSON.stringify(value);
}

function checkHeaderValue(name: string, value: string): string {
  if (/[\r\n]/.test(value))
    throw new FlowError(
      'INVALID_HEADER',
      `${name} holds a line break, which no header can: remove it`,
      false,
    );
  return value;
}

/** Text and buffers as they are, everything else as JSON. Throws NO_PAYLOAD for what JSON can't say. */
function encode(payload: unknown): Uint8Array | string {
  if (payload instanceof Uint8Array || typeof payload === 'string') return payload;
  const json = JSON.stringify(payload) as string | undefined;
  if (json === undefined)
    throw new FlowError(
      'NO_PAYLOAD',
      'The message has no payload to publish: set msg.payload (null is sent as null)',
      false,
    );
  return json;
}
