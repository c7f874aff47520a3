import { rivalOf, sameSystem, shownOf, type Rival, type Shown } from './rivals.editor';
import type { StreamSettings } from './stream.settings';
import { streamConflicts, type StreamDemand } from './stream-conflicts';

interface ShownDemand extends StreamDemand {
  server: unknown;
  stream: string;
}

/** What `streamDemand` of a node type answers: of a node that provisions, with the settings that `read` finds. */
export function demandOf(
  node: EditorNode,
  read: (shown: Shown) => Partial<StreamSettings>,
): ShownDemand | undefined {
  const shown = shownOf(node);
  const { server, stream, provision, narrow } = shown;
  if (provision !== true) return undefined;
  return { server, stream: String(stream).trim(), narrow: narrow === true, settings: read(shown) };
}

/** Another node, of whatever type, that provisions this one's stream with settings that contradict. */
export function streamRival(node: EditorNode): Rival | undefined {
  return rivalOf(node, askedBy, (own, other) =>
    own.stream === other.stream && sameSystem(own.server, other.server) ? streamConflicts(own, other) : [],
  );
}

export const provisions = ({ _def }: EditorNode): boolean => _def?.streamDemand !== undefined;

function askedBy(node: EditorNode): ShownDemand | undefined {
  return node._def?.streamDemand?.call(node) as ShownDemand | undefined;
}
