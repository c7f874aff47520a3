import type { Node, NodeStatus } from 'node-red';

const INTERVAL = 250;

/** Sets a node's status at most four times a second, always ending with the latest; equal ones are not repeated. */
export class StatusReporter {
  private shown = '';
  private latest: (() => NodeStatus) | undefined;
  private timer: NodeJS.Timeout | undefined;
  private lastAt = -Infinity;

  constructor(private readonly node: Pick<Node, 'status'>) {}

  /** A function is only asked when its turn has come: a status that changes with every message costs nothing. */
  show(status: NodeStatus | (() => NodeStatus)): void {
    this.latest = typeof status === 'function' ? status : () => status;
    if (this.timer) return;
    const wait = this.lastAt + INTERVAL - performance.now();
    if (wait <= 0) this.flush();
    else this.timer = setTimeout(() => this.flush(), wait);
  }

  /** Nothing is shown any more, not even what was waiting. */
  stop(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
    this.latest = undefined;
  }

  private flush(): void {
    this.timer = undefined;
    if (!this.latest) return;
    const status = this.latest();
    this.lastAt = performance.now();
    const text = JSON.stringify(status);
    if (text === this.shown) return;
    this.shown = text;
    this.node.status(status);
  }
}
