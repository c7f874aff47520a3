const LOOK = 100;

export interface Trial<T> {
  /** Which of two comes first. */
  order(a: T, b: T): number;
  /** Nothing is in the flow that it has to be apart from: what is held by an outage, say. */
  isQuiet(next: T): boolean;
  /** Puts it into the flow. */
  begin(item: T): Promise<void>;
  /** Its end in the flow is known, or it is held there. */
  isOver(item: T): boolean;
  /** None is left. Resolves when the flow may be opened to all again. */
  reopen(): Promise<void>;
  /** It is. */
  opened(): void;
}

/**
 * What may have ended the process goes into the flow one at a time, alone, so that only the guilty one is there when it
 * happens again. Nothing else may be put into the flow while there are `any`.
 */
export class Suspects<T> {
  private readonly waiting: T[] = [];
  private alone: { item: T; begun: boolean } | undefined;
  private reopening = false;
  private timer: NodeJS.Timeout | undefined;

  constructor(private readonly trial: Trial<T>) {}

  get any(): boolean {
    return this.alone !== undefined || this.waiting.length > 0 || this.reopening;
  }

  add(item: T): void {
    this.waiting.push(item);
    this.waiting.sort((a, b) => this.trial.order(a, b));
    this.timer ??= setInterval(() => this.look(), LOOK);
    // What came with it may have to be before it.
    setImmediate(() => this.look());
  }

  /** Something has left the flow. */
  look(): void {
    if (!this.any || this.reopening) return;
    if (this.alone) {
      if (!this.alone.begun || !this.trial.isOver(this.alone.item)) return;
      this.alone = undefined;
    }
    if (this.waiting.length === 0) return this.reopen();
    const [next] = this.waiting as [T];
    if (!this.trial.isQuiet(next)) return;
    this.waiting.shift();
    const alone = { item: next, begun: false };
    this.alone = alone;
    void this.trial.begin(alone.item).finally(() => {
      alone.begun = true;
      this.look();
    });
  }

  private reopen(): void {
    this.reopening = true;
    void this.trial.reopen().finally(() => {
      this.reopening = false;
      if (this.any) return this.look();
      this.stop();
      this.trial.opened();
    });
  }

  /** Those that were not in the flow yet. */
  withdraw(): T[] {
    this.stop();
    return this.waiting.splice(0);
  }

  private stop(): void {
    clearInterval(this.timer);
    this.timer = undefined;
  }
}
