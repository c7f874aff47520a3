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
  const behind = reached(node, BEHIND);
  const types = new Set(behind.map(({ type }) => type));
  // Whom a link call comes to that takes its name from the message is known then.
  const unknown = behind.some(({ type, linkType }) => type === 'link call' && linkType === 'dynamic');
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
  const before = reached(node, BEFORE);
  return before.some(({ type }) => SOURCES.has(type));
}

interface Way {
  /** The ends of a wire, in the order of this way. */
  from: 'source' | 'target';
  to: 'source' | 'target';
  /** By which ports of its inside this way comes into a subflow, and goes out of it. */
  enters: 'in' | 'out';
  leaves: 'in' | 'out';
  jumps(node: EditorNode): EditorNode[];
}

const linked = (node: EditorNode): string[] =>
  /^link (out|call)$/.test(node.type) ? ((node['links'] as string[] | undefined) ?? []) : [];

const BEHIND: Way = {
  ...{ from: 'source', to: 'target', enters: 'in', leaves: 'out' },
  jumps: (node) => linked(node).flatMap((id) => RED.nodes.node(id) ?? []),
};
const BEFORE: Way = {
  ...{ from: 'target', to: 'source', enters: 'out', leaves: 'in' },
  jumps: (node) => (node.type === 'link in' ? all().filter((each) => linked(each).includes(node.id)) : []),
};

function all(): EditorNode[] {
  const found: EditorNode[] = [];
  RED.nodes.eachNode((node) => found.push(node) > 0);
  return found;
}

/**
 * The nodes that wires lead to, through link nodes and subflows too. A subflow that a way comes into is left by that
 * instance alone; the one that `start` is in, by each of its instances. What is disabled passes nothing on.
 */
function reached(start: EditorNode, way: Way): EditorNode[] {
  const links = RED.nodes.filterLinks({});
  const around = new Set([start['z']]);
  const wired = (node: EditorNode, port?: unknown) =>
    links
      .filter((link) => link[way.from] === node && (port === undefined || link.sourcePort === port))
      .map((link) => link[way.to]);
  const next = (node: EditorNode): EditorNode[] => {
    const { direction, z } = node;
    if (direction !== undefined) {
      if (direction !== way.leaves || !around.has(z)) return wired(node);
      const instances = all().filter(({ type }) => type === `subflow:${String(z)}`);
      for (const instance of instances) around.add(instance['z']);
      return instances.flatMap((instance) => wired(instance, way === BEHIND ? node['i'] : undefined));
    }
    const inside = RED.nodes.subflow(node.type.replace(/^subflow:/, ''))?.[way.enters] ?? [];
    return [...wired(node), ...way.jumps(node), ...inside];
  };
  const found = new Set<EditorNode>();
  const todo = [start];
  for (let node = todo.pop(); node; node = todo.pop())
    for (const each of next(node))
      if (!found.has(each) && each['d'] !== true) {
        found.add(each);
        todo.push(each);
      }
  return [...found];
}
