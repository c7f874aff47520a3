/** Core nodes that keep a message for a while, or for others: until then the flow has not finished it. */
const HOLDING = new Set(['delay', 'trigger', 'join', 'batch', 'sort', 'queue-gate', 'simple-queue']);

/** Sources that give a message to the flow again where the flow has failed, or has not finished, before. */
const SOURCES = new Set(['jetstream-in', 'sfdc-event-in']);

/**
 * What is worth knowing of the flow behind a node that reads: `ackMissing` no jetstream-ack on any way, though the
 * flow is to acknowledge; `noDeadLetter`; `holding` nodes that keep messages open, named.
 */
export function sourceHints(
  node: EditorNode,
  { ack, deadLetter }: { ack: string; deadLetter: string },
): { key: 'ackMissing' | 'noDeadLetter' | 'holding'; values?: Record<string, string> }[] {
  const behind = reached(
    node,
    ({ target }) => target,
    ({ source }) => source,
  );
  const types = new Set(behind.map(({ type }) => type));
  // What a subflow does inside, or what a link call comes to, is not followed.
  const unknown = [...types].some((type) => type.startsWith('subflow:') || type === 'link call');
  const holding = behind.filter(({ type }) => HOLDING.has(type)).map(({ type, name }) => name || type);
  return [
    ...(ack === 'manual' && !types.has('jetstream-ack') && !unknown ? [{ key: 'ackMissing' as const }] : []),
    ...(ack !== 'delivery' && deadLetter === '' ? [{ key: 'noDeadLetter' as const }] : []),
    ...(ack !== 'delivery' && holding.length > 0
      ? [{ key: 'holding' as const, values: { nodes: [...new Set(holding)].join(', ') } }]
      : []),
  ];
}

/** Whether messages may come to a node more than once: from a source that gives them again. */
export function isBehindSource(node: EditorNode): boolean {
  const before = reached(
    node,
    ({ source }) => source,
    ({ target }) => target,
  );
  return before.some(({ type }) => SOURCES.has(type));
}

type Link = { source: EditorNode; target: EditorNode };

/** The nodes that wires lead to, through link nodes too. */
function reached(
  from: EditorNode,
  next: (link: Link) => EditorNode,
  own: (link: Link) => EditorNode,
): EditorNode[] {
  const found = new Set<EditorNode>();
  const todo = [from];
  for (let node = todo.pop(); node; node = todo.pop()) {
    const current = node;
    const wired = RED.nodes
      .filterLinks({})
      .filter((link) => own(link) === current)
      .map(next);
    const jumps = /^link (in|out)$/.test(node.type) ? ((node['links'] as string[] | undefined) ?? []) : [];
    const linked = jumps.flatMap((id) => RED.nodes.node(id) ?? []);
    for (const each of [...wired, ...linked])
      if (!found.has(each)) {
        found.add(each);
        todo.push(each);
      }
  }
  return [...found];
}
