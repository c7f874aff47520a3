import { runInThisContext } from 'node:vm';
import type { NodeAPI } from 'node-red';
import type { Command, Delivery, DeliveryOwner, Failure } from '../../../nodes/shared/flow/delivery';
import { flowTracker } from '../../../nodes/shared/flow/completion';
import type { FlowHooks, RuntimeNode, SendEvent } from '../../../nodes/shared/flow/hooks';

export type Msg = Record<string | symbol, unknown>;
type Send = (msg: unknown) => void;
type Done = (error?: unknown) => void;
/** Three parameters: the node says `done`. Fewer: it never does, as with the runtime. */
export type Handler = (msg: Msg, send: Send, done: Done) => unknown;

interface NodeOptions {
  name?: string;
  /** For each output the ids of the nodes it is wired to. */
  wires?: string[][];
  close?: () => void | Promise<void>;
  /** As deployed; what `eachNode` gives. */
  definition?: object;
  /** The id in the flow's definition, of a node in an instance of a subflow. */
  alias?: string;
}

interface DeliverOptions {
  token?: string;
  msgid?: string;
  follow?: boolean;
  owner?: Partial<DeliveryOwner>;
}

interface Called {
  handle: (node: TestNode, msg: Msg, handler: Handler, send: Send, done: Done) => void;
  complete: (node: TestNode, error: unknown, msg: Msg) => void;
}

// Node-RED's own Node.js calls error() where a handler has thrown or said done(error); flow completion asks who calls.
const { handle, complete } = runInThisContext(
  `({
    handle(node, msg, handler, send, done) { try { handler(msg, send, done); } catch (error) { node.error(error, msg); } },
    complete(node, error, msg) { node.error(error, msg); },
  })`,
  { filename: '/node_modules/@node-red/runtime/lib/nodes/Node.js' },
) as Called;

/** A running node: calls the hooks and its handler in the order in which lib/nodes/Node.js of 4.1 and 5.0 does. */
export class TestNode implements RuntimeNode {
  readonly name: string | undefined;
  readonly _alias: string | undefined;
  readonly _expectedDoneCount: number;
  readonly _flow: Flow;
  wires: string[][];
  readonly warnings: unknown[] = [];
  readonly errors: unknown[] = [];
  private handler: Handler | undefined;
  send!: Send;

  constructor(
    flow: Flow,
    readonly id: string,
    readonly type: string,
    handler: Handler,
    private readonly options: NodeOptions,
  ) {
    this._flow = flow;
    this.name = options.name;
    this._alias = options.alias;
    this.handler = handler;
    this._expectedDoneCount = handler.length === 3 ? 1 : 0;
    this.wires = options.wires ?? [];
    this.updateWires(this.wires);
  }

  /** A deploy: the runtime puts its own `send` in the place of whatever stands there. */
  updateWires(wires: string[][]): void {
    this.wires = wires;
    this.send = (msg) => this._flow.route(this, msg);
  }

  receive(msg: Msg): void {
    identify(msg);
    const event = { msg, destination: { id: this.id, node: this } };
    this._flow.hooks?.onReceive(event);
    const { handler } = this;
    if (handler)
      handle(
        this,
        msg,
        handler,
        (sent) => this.send(sent),
        (error) => this.complete(msg, error),
      );
    this._flow.hooks?.postReceive(event);
  }

  private complete(msg: Msg, error: unknown): void {
    this._flow.hooks?.onComplete({ msg, error, node: { id: this.id, node: this } });
    if (error) complete(this, error, msg);
    else this._flow.completed(msg);
  }

  error(error: unknown, msg?: object): void {
    this.errors.push(error);
    if (msg) this._flow.caught(msg as Msg);
  }

  warn(warning: unknown): void {
    this.warnings.push(warning);
  }

  async close(): Promise<void> {
    await this.options.close?.();
    this.handler = undefined;
  }
}

let ids = 0;
const newId = (): string => `id${++ids}`;

/** The runtime isn't in strict mode: it goes on where a message can't be written on. */
function identify(msg: Msg): void {
  Reflect.set(msg, '_msgid', msg['_msgid'] ?? newId());
}

/** What has become of a message that was sent into the flow. */
export interface Sent {
  delivery: Delivery;
  /** One entry for each time the flow was said to have finished it; undefined: without an error. */
  ends: (Failure | undefined)[];
  commands: Command[];
}

/** Nodes wired together in the place of Node-RED's flow, followed by the real tracker through its real hooks. */
export class Flow {
  hooks: FlowHooks | undefined;
  private readonly nodes = new Map<string, TestNode>();
  private readonly definitions: object[] = [];
  private readonly source: TestNode;
  private readonly release: () => void;

  constructor(first: string[] = ['a']) {
    const hooks: Record<string, unknown> = {};
    this.release = flowTracker.use({
      hooks: {
        add: (name: string, hook: unknown) => (hooks[name.split('.')[0] ?? ''] = hook),
        remove: () => (this.hooks = undefined),
      },
      nodes: {
        eachNode: (each: (definition: object) => void) => this.definitions.forEach(each),
      },
      util: { cloneMessage: clone },
      _: (key: string) => key,
    } as unknown as NodeAPI);
    this.hooks = hooks as unknown as FlowHooks;
    this.source = new TestNode(this, 'source', 'jetstream-in', () => undefined, { wires: [first] });
  }

  node(id: string, type: string, handler: Handler, options: NodeOptions = {}): TestNode {
    const node = new TestNode(this, id, type, handler, options);
    this.nodes.set(id, node);
    this.definitions.push({ id: options.alias ?? id, type, ...options.definition });
    return node;
  }

  /** Sends a message as jetstream-in does, with a token in `msg.jetstream`. */
  deliver(
    payload: unknown = 0,
    { token = newId(), msgid = token, follow = true, owner = {} }: DeliverOptions = {},
  ): Sent {
    const msg = { _msgid: msgid, payload, jetstream: { token } };
    const sent: Omit<Sent, 'delivery'> = { ends: [], commands: [] };
    const delivery = flowTracker.begin(
      token,
      msg,
      {
        noun: 'message',
        finished: (failure) => sent.ends.push(failure),
        command: (command) => sent.commands.push(command),
        ...owner,
      },
      follow,
      () => this.source.send(msg),
    );
    return Object.assign(sent, { delivery });
  }

  /** The node that a wire to this id leads to. */
  getNode(id: string): TestNode | undefined {
    return this.nodes.get(id);
  }

  /** A node as deployed that doesn't run. */
  define(definition: object): void {
    this.definitions.push(definition);
  }

  /** lib/nodes/Node.js send and lib/flows/Flow.js: every message but the first is a clone, each is received a turn later. */
  route(source: TestNode, msg: unknown): void {
    if (msg === null || msg === undefined) return;
    const outputs = Array.isArray(msg) ? (msg as unknown[]) : [msg];
    const events: (SendEvent & { msg: Msg })[] = [];
    source.wires.forEach((wires, port) => {
      const sent = [outputs[port]].flat().filter((one) => one !== null && one !== undefined) as Msg[];
      for (const id of wires)
        for (const one of sent)
          events.push({
            msg: one,
            source: { id: source.id, node: source },
            destination: { id },
            cloneMessage: events.length > 0,
          });
    });
    for (const event of events) identify(event.msg);
    if (events.length > 0) this.hooks?.onSend(events);
    for (const event of events) {
      const one = event.cloneMessage ? clone(event.msg) : event.msg;
      const node = this.nodes.get(event.destination.id);
      if (node) setImmediate(() => node.receive(one));
    }
  }

  /** Complete nodes are handed the message at once, within `done`. */
  completed(msg: Msg): void {
    for (const node of this.nodes.values()) if (node.type === 'complete') node.receive(clone(msg));
  }

  /** Catch nodes are handed the message at once, within `error`. */
  caught(msg: Msg): void {
    for (const node of this.nodes.values()) if (node.type === 'catch') node.receive(clone(msg));
  }

  close(): void {
    this.release();
  }
}

/** What the runtime's cloneMessage keeps: own properties, symbols too. */
export function clone(msg: Msg): Msg {
  return { ...msg };
}

/** So many turns of the event loop that whatever is under way without waiting for anything has ended. */
export async function turns(n = 30): Promise<void> {
  for (let i = 0; i < n; i++) await new Promise((resolve) => setImmediate(resolve));
}

/** A promise that the test resolves when it wants. */
export function gate<T = void>(): { opened: Promise<T>; open: (value: T) => void } {
  let open: (value: T) => void = () => undefined;
  const opened = new Promise<T>((resolve) => (open = resolve));
  return { opened, open };
}

/** Passes the message on and is done with it. */
export const pass: Handler = (msg, send, done) => {
  send(msg);
  done();
};

/** Is done with the message, which goes nowhere. */
export const sink: Handler = (_msg, _send, done) => done();

/** A handler that holds each message until the test calls its entry, which passes it on. */
export function holder(): { handler: Handler; held: (() => void)[] } {
  const held: (() => void)[] = [];
  const handler: Handler = (msg, send, done) => void held.push(() => (send(msg), done()));
  return { handler, held };
}

/** A join as 17-split.js has it: what it holds goes on as one message, then each is done. */
export function join(
  count: number,
  made: (messages: Msg[]) => unknown = (messages) => clone(messages.at(-1) ?? {}),
): Handler {
  let held: { msg: Msg; done: Done }[] = [];
  return (msg, send, done) => {
    held.push({ msg, done });
    if (held.length < count) return;
    const all = held;
    held = [];
    send(made(all.map((one) => one.msg)));
    for (const one of all) one.done();
  };
}

/** The error that the flow was said to have finished the message with. */
export function errorOf(sent: Sent): unknown {
  return sent.ends[0]?.error;
}
