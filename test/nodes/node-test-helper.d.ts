/** The part of node-red-node-test-helper 0.3 that is used here; it brings no types of its own. */
declare module 'node-red-node-test-helper' {
  import type { EventEmitter } from 'node:events';
  import type { NodeAPI, NodeStatus } from 'node-red';

  interface SpyCall {
    args: unknown[];
    thisValue: unknown;
  }

  /** A running node; its methods are spies, which all nodes share. */
  export interface HelperNode extends EventEmitter {
    id: string;
    type: string;
    name?: string;
    receive(msg: object): void;
    status: ((status: NodeStatus) => void) & { getCalls(): SpyCall[] };
    [property: string]: unknown;
  }

  interface Sending {
    send(body: object | string): Promise<{ status: number; body: unknown }>;
  }

  interface Helper {
    startServer(): Promise<void>;
    stopServer(): Promise<void>;
    load(nodes: ((RED: NodeAPI) => void)[], flow: object[], credentials?: object): Promise<void>;
    setFlows(flow: object[], type?: 'full' | 'flows' | 'nodes', credentials?: object): Promise<void>;
    unload(): Promise<void>;
    clearFlows(): Promise<void>;
    getNode(id: string): HelperNode | null;
    url(): string;
    request(): {
      get(path: string): Promise<{ status: number; body: unknown; text: string }>;
      post(path: string): Sending & { type(type: string): Sending };
    };
    log(): { getCalls(): SpyCall[]; ERROR: number; WARN: number; INFO: number };
  }

  const helper: Helper;
  export default helper;
}
