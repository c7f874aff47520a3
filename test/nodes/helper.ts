import assert from 'node:assert/strict';
import { after, afterEach, before } from 'node:test';
import runtime, { type NodeAPI, type NodeStatus } from 'node-red';
import helper, { type HelperNode } from 'node-red-node-test-helper';
import { until } from '../support/until';
import type { FlowNode } from '../support/node-red';

/** A node file's default export. */
type NodeModule = (RED: NodeAPI) => void;
type Level = 'ERROR' | 'WARN' | 'INFO';

/** What tests of one node do to a Node-RED that holds nothing but the nodes they name. */
export interface Stage {
  /** Starts a flow of one tab in the place of what ran before; `credentials` of a node stand in it, and nodes without wires are config nodes. */
  load(...flow: FlowNode[]): Promise<void>;
  node(id: string): HelperNode;
  /** Every status that a node has shown, in order. Its texts are keys: nothing is translated here. */
  statuses(id: string): NodeStatus[];
  waitForStatus(id: string, text: string): Promise<NodeStatus>;
  /** What has arrived at a `helper` node. */
  received(id: string): Record<string, unknown>[];
  /** Waits for the only message of a `helper` node. */
  one(id: string): Promise<Record<string, unknown>>;
  logged(level: Level): string[];
  /** Collects what a node fails its messages with from now on, also while it is being closed. */
  failures(id: string): unknown[];
  /** What a form gets for its question. */
  ask(path: string, body: object): Promise<unknown>;
  get(path: string): Promise<{ body: unknown; text: string }>;
  post(path: string, type: string, body: string): Promise<unknown>;
  /** Closes all nodes, as a deploy does. */
  close(): Promise<void>;
}

interface Hooks {
  add(name: string, hook: (event: { node: { id: string }; error?: unknown }) => void): void;
}

/** One server for a test file, a fresh flow for each test. */
export function stage(...modules: NodeModule[]): Stage {
  const inboxes = new Map<string, Record<string, unknown>[]>();
  let loaded = false;
  const unload = async () => {
    loaded = false;
    await helper.unload();
    runtime.hooks.remove('*.failures');
  };
  before(() => helper.startServer());
  afterEach(unload);
  after(() => helper.stopServer());

  const node = (id: string): HelperNode => {
    const found = helper.getNode(id);
    assert.ok(found, `there is a node "${id}"`);
    return found;
  };
  const received = (id: string) => inboxes.get(id) ?? [];
  const statuses = (id: string) => {
    const { status } = node(id);
    return status
      .getCalls()
      .filter(({ thisValue }) => (thisValue as HelperNode).id === id)
      .map(({ args }) => args[0] as NodeStatus);
  };

  return {
    async load(...flow) {
      if (loaded) await unload();
      loaded = true;
      inboxes.clear();
      const credentials = Object.fromEntries(flow.map(({ id, credentials }) => [id, credentials ?? {}]));
      // Without a place on the canvas Node-RED takes a node for a config node.
      const placed = flow.map(({ credentials: _, ...one }) =>
        one.wires ? { z: 'tab', x: 1, y: 1, ...one } : one,
      );
      await helper.load(
        modules.map((module) => withHooks(module)),
        [{ id: 'tab', type: 'tab', label: 'Test' }, ...placed],
        credentials,
      );
      for (const { id } of flow.filter(({ type }) => type === 'helper')) {
        const inbox: Record<string, unknown>[] = [];
        inboxes.set(id, inbox);
        node(id).on('input', (msg: Record<string, unknown>, _send: unknown, done: () => void) => {
          inbox.push(msg);
          done();
        });
      }
    },
    node,
    statuses,
    waitForStatus: (id, text) =>
      until(() => statuses(id).find((status) => typeof status === 'object' && status.text === text), {
        what: `${id} to show ${text}`,
      }),
    received,
    one: async (id) => {
      await until(() => received(id).length > 0, { what: `a message at ${id}` });
      assert.equal(received(id).length, 1);
      return received(id)[0] as Record<string, unknown>;
    },
    logged: (level) =>
      helper
        .log()
        .getCalls()
        .map(({ args }) => args[0] as { level: number; msg: unknown })
        .filter((entry) => entry.level === helper.log()[level])
        .map(({ msg }) => (msg instanceof Error ? msg.message : String(msg))),
    failures(id) {
      const errors: unknown[] = [];
      const { hooks } = runtime as unknown as { hooks: Hooks };
      hooks.add('onComplete.failures', ({ node, error }) => {
        if (node.id === id && error) errors.push(error);
      });
      return errors;
    },
    ask: async (path, body) => (await helper.request().post(path).send(body)).body,
    get: (path) => helper.request().get(path),
    post: async (path, type, body) => (await helper.request().post(path).type(type).send(body)).body,
    close: () => helper.clearFlows(),
  };
}

/** A node that collects what it gets; `stage().received(id)` has it. */
export const inbox = (id: string): FlowNode => ({ id, type: 'helper', wires: [] });

/** Shows what a node throws: `catch` hands on to `caught`. */
export const catcher = (): FlowNode[] => [
  { id: 'catch', type: 'catch', scope: null, wires: [['caught']] },
  inbox('caught'),
];

/** The message that a Catch node has got, as far as it tells of the error. */
export function errorOf(msg: Record<string, unknown>): { message: string; code?: string } {
  return msg.error as { message: string; code?: string };
}

/** The helper's runtime lacks the hooks, which Node-RED gives every node. */
function withHooks(module: NodeModule): NodeModule {
  return (RED) => {
    RED.hooks = runtime.hooks;
    module(RED);
  };
}
