/** One line of the performance table. */
export interface Row {
  name: string;
  value: number;
  /** "records/s", "calls", "ms", "MB". */
  unit: string;
  /** The same work by the thing it is compared with, measured in the same run. */
  reference?: number;
  /** value ÷ reference. */
  ratio?: number;
}

/** The middle one of several measurements: one that was disturbed doesn't count. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? NaN) + upper) / 2;
}

export function round(value: number, digits = 2): number {
  return Number(value.toFixed(digits));
}
