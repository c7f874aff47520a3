import type { PositionStore } from '../shared/positions';

/** How far a subscription has come. */
export interface ReplayPosition {
  /** A replay id means something in its own org and topic alone. */
  organizationId: string;
  topic: string;
  /** Base64. */
  replayId: string;
  /** When it was reached, epoch milliseconds. */
  at: number;
}

/** The stored position, if it is one of this org and topic. */
export async function loadPosition(
  store: PositionStore,
  organizationId: string,
  topic: string,
): Promise<ReplayPosition | undefined> {
  const position = parse(await store.load());
  return position?.topic === topic && position.organizationId === organizationId ? position : undefined;
}

function parse(text: string | undefined): ReplayPosition | undefined {
  if (text === undefined) return undefined;
  try {
    const position = JSON.parse(text) as Partial<ReplayPosition> | null;
    return isPosition(position) ? position : undefined;
  } catch {
    return undefined;
  }
}

function isPosition(value: Partial<ReplayPosition> | null): value is ReplayPosition {
  return typeof value?.replayId === 'string' && value.replayId !== '' && Number.isFinite(value.at);
}
