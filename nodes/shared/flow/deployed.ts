import type { NodeAPI } from 'node-red';

type Listener = () => void;
type Events = NodeAPI['events'];

const all = new WeakMap<Events, { listeners: Set<Listener>; tell: Listener }>();

/**
 * Calls the listener each time all nodes of a deploy (or of a start) have been made; returns the way to stop that.
 * Node-RED warns of a leak when more than ten nodes listen by themselves.
 */
export function whenDeployed({ events }: NodeAPI, listener: Listener): () => void {
  const known = all.get(events) ?? start(events);
  known.listeners.add(listener);
  return () => {
    known.listeners.delete(listener);
    if (known.listeners.size > 0 || all.get(events) !== known) return;
    all.delete(events);
    events.removeListener('flows:started', known.tell);
  };
}

function start(events: Events) {
  const listeners = new Set<Listener>();
  const tell = (): void => {
    for (const listener of [...listeners]) listener();
  };
  const known = { listeners, tell };
  all.set(events, known);
  events.on('flows:started', tell);
  return known;
}
