import type { Node, NodeStatus } from 'node-red';

const INTERVAL = 250;

/** Sets a node's status at most four times a second, always ending with the latest; equal ones are not repeated. */
export class StatusReporter {
  private shown = '';
  private latest: NodeStatus | undefined;
  private timer: NodeJS.Timeout | undefined;
  private lastAt = 0;

  constructor(private readonly node: Pick<Node, 'status'>) {}

  show(status: NodeStatus): void {
    this.latest = status;
    if (this.timer) return;
    const wait = this.lastAt + INTERVAL - Date.now();
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
    const text = JSON.stringify(this.latest);
    if (text === this.shown) return;
    this.shown = text;
    this.lastAt = Date.now();
    this.node.status(this.latest);
  }
}
