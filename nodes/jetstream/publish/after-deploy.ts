import type { Node, NodeAPI, NodeMessage } from 'node-red';
import { say } from '../../shared/say';

/**
 * Fails messages of a node that is being stopped. The Catch nodes of its flow are being stopped at the same moment,
 * and what they send goes nowhere; so the node that a deploy puts in its place fails them, as soon as the flows
 * run again. Until then, and where no such node comes, the log says so.
 */
export class AfterDeploy {
  private readonly failed: { msg: NodeMessage; error: Error }[] = [];

  constructor(
    private readonly RED: NodeAPI,
    private readonly node: Node,
  ) {}

  fail(msg: NodeMessage, error: Error): void {
    this.failed.push({ msg, error });
    if (this.failed.length > 1) return;
    this.RED.events.once('flows:started', () => this.report());
    queueMicrotask(() =>
      this.node.warn(
        say`${this.failed.length} messages that were to be published fail as the node is stopped; a Catch node gets them when the flows run again. ${error.message}`,
      ),
    );
  }

  private report(): void {
    const successor = this.RED.nodes.getNode(this.node.id);
    for (const { msg, error } of this.failed) {
      if (successor?.type === this.node.type) successor.error(error, msg);
      // Without a message: the Catch nodes of a flow that is gone would swallow it.
      else this.node.error(say`${error.message} (message ${msg._msgid})`);
    }
  }
}
