import type { Node, NodeAPI, NodeDef, NodeMessage, NodeStatus } from 'node-red';
import { codeOf, FlowError, messageOf } from '../shared/errors';
import { flowTracker } from '../shared/flow/completion';
import { holdOf, pauseProcessing } from '../shared/flow/in-flow';
import { failed, refuseInput, sendOn } from '../shared/flow/input';
import { operate } from '../shared/operations/registry';
import { parseDeployed, type Settings, type Stored } from '../shared/settings/settings';
import { StatusReporter } from '../shared/status';
import { templateScope } from '../shared/template';
import { carry, traceOf, type Carrier, type TraceContext } from '../shared/tracing/context';
import { tracerOf, type SpanStart } from '../shared/tracing/tracer';
import { withTimeout } from '../shared/async/timeout';
import type { Connection, ConnectionState } from './server/connection';
import { jetstreamOut } from './jetstream-out.settings';
import { connectionOf } from './jetstream-server';
import { heldByServer } from './operations/server';
import { AfterDeploy } from './publish/after-deploy';
import { compileOutgoing, encodePayload } from './publish/outgoing';
import { Publisher, type Outgoing } from './publish/publisher';
import { say } from '../shared/say';
import { speak } from '../shared/language';

/** So long a node that is stopped waits for the PubAcks of what it has sent, in ms. */
const LAST_PUB_ACKS = 1_000;

type OutDef = NodeDef & Stored<typeof jetstreamOut>;

export default function (RED: NodeAPI): void {
  speak(RED._('language'));

  function JetstreamOut(this: Node, def: OutDef): void {
    RED.nodes.createNode(this, def);
    const status = new StatusReporter(this);
    let connection: Connection;
    let settings: Settings<typeof jetstreamOut>;
    let render: ReturnType<typeof compileOutgoing>;
    try {
      settings = parseDeployed(jetstreamOut, def);
      connection = connectionOf(RED, settings.server);
      render = compileOutgoing(settings, connection.settings.inboxPrefix);
    } catch (error) {
      refuseInput(this, error);
      status.show({ fill: 'red', shape: 'ring', text: RED._('status.misconfigured') });
      return;
    }

    const tracer = tracerOf(RED);
    const publisher = new Publisher(connection, settings, () => show());
    const afterDeploy = new AfterDeploy(RED, this);
    const show = (): void => status.show(() => statusOf(connection.state.phase, publisher.waiting));
    const statusOf = (phase: ConnectionState['phase'], waiting: number): NodeStatus => {
      const text = (name: string): string =>
        waiting === 0 ? RED._(`status.${name}`) : RED._(`status.${name}Waiting`, { waiting });
      if (phase === 'disconnected') return { fill: 'red', shape: 'ring', text: text('disconnected') };
      if (phase !== 'connected') return { fill: 'yellow', shape: 'ring', text: text('connecting') };
      return { fill: waiting === 0 ? 'green' : 'blue', shape: 'dot', text: text('ready') };
    };
    const release = connection.use({ state: show });
    const named = { id: this.id, name: this.name || settings.subject };
    const unlist = operate({
      ...{ kind: 'writers', ...named },
      state: () =>
        connection.secrets.inValue({
          ...named,
          messages: publisher.pending,
          held: heldByServer(connection),
        }),
    });
    show();

    const outgoingOf = (msg: NodeMessage, trace: TraceContext | undefined): Outgoing => {
      const scope = templateScope(msg, (name) => RED.util.evaluateNodeProperty(name, 'env', this, msg));
      const outgoing = { ...render(scope), data: encodePayload(msg.payload) };
      if (trace) addTrace(outgoing.headers, trace);
      return outgoing;
    };

    let closing = false;
    this.on('input', (msg, send, done) => {
      // A node that reads stops at its prefetch, and what it has read comes again if it isn't published.
      const comesAgain = flowTracker.find(msg) !== undefined;
      const origin = traceOf(msg as Carrier);
      const span = tracer?.start(spanOf(settings.subject), [origin]);
      const fail = (thrown: unknown): void => {
        const error = connection.secrets.inError(thrown);
        span?.end(error);
        if (closing && !comesAgain && codeOf(error) === 'CLOSED') return afterDeploy.fail(msg, notSent());
        // A Catch node that is being stopped too keeps it to itself.
        if (closing && !comesAgain) this.warn(messageOf(error));
        failed(this, msg, done, error);
      };
      let outgoing: Outgoing;
      try {
        outgoing = outgoingOf(msg, span?.context ?? origin);
      } catch (error) {
        return fail(error);
      }
      // Waiting for a server that is slow or away is not the flow's hanging.
      const sender = { stops: comesAgain, pause: () => pauseProcessing(msg), hold: holdOf(msg) };
      publisher.publish(outgoing, sender).then((ack) => {
        try {
          msg.jetstream = { ...(msg.jetstream as object | undefined), ack };
        } catch (error) {
          return fail(error);
        }
        span?.end();
        sendOn(this, send, done, msg);
      }, fail);
    });

    this.on('close', (_removed: boolean, done: () => void) => {
      closing = true;
      unlist();
      status.stop();
      void withTimeout(LAST_PUB_ACKS, publisher.stop())
        .catch((error: unknown) => this.error(messageOf(error)))
        .finally(release)
        .finally(() => done());
    });
  }

  RED.nodes.registerType('jetstream-out', JetstreamOut);
}

/** Whoever names the header in the settings has the say. */
function addTrace(headers: Outgoing['headers'], trace: TraceContext): void {
  if (!Object.keys(headers).some((name) => name.toLowerCase() === 'traceparent')) carry(headers, trace);
}

function spanOf(subject: string): Pick<SpanStart, 'name' | 'kind' | 'attributes'> {
  return {
    name: `publish ${subject}`,
    kind: 'PRODUCER',
    attributes: {
      'messaging.system': 'nats',
      'messaging.operation.type': 'send',
      'messaging.destination.template': subject,
    },
  };
}

function notSent(): FlowError {
  return new FlowError(
    'NOT_SENT',
    say`The node was stopped while the message waited to be published: it is not stored, and nothing sends it again by itself`,
  );
}
