import type { NodeAPI } from 'node-red';

type Settings = { contextStorage?: Record<string, unknown> };

/** Whether settings.js says where contexts are kept; without that, a deploy of a node deletes its context. */
export function contextIsConfigured(RED: NodeAPI): boolean {
  return (RED.settings as Settings).contextStorage !== undefined;
}

/** As far as settings.js tells: the default store, by name or as the only one, is the one in memory. */
export function contextIsVolatile(RED: NodeAPI): boolean {
  const { contextStorage } = RED.settings as Settings;
  const [only] = Object.values(contextStorage ?? {});
  const chosen = contextStorage?.default ?? only;
  const store = typeof chosen === 'string' ? (contextStorage?.[chosen] ?? chosen) : chosen;
  const module = typeof store === 'object' && store !== null ? (store as { module?: unknown }).module : store;
  return module === undefined || module === 'memory';
}
