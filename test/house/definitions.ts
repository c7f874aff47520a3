import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { runInNewContext } from 'node:vm';
import { root } from '../support/user-dir';

export interface Manifest {
  name: string;
  keywords: string[];
  license: string;
  repository: { url: string };
  bugs: { url: string };
  files: string[];
  publishConfig: { provenance?: boolean };
  dependencies: Record<string, string>;
  'node-red': { version: string; nodes: Record<string, string> };
}

export const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as Manifest;
export const types = Object.keys(manifest['node-red'].nodes);

/** What a node tells the editor in registerType, as far as it is looked at here. */
export interface Definition {
  category: string;
  color?: string;
  icon?: string;
  inputs?: number;
  outputs?: number;
  defaults: Record<string, { value: unknown; type?: string }>;
  credentials?: Record<string, { type: string }>;
}

/** The html of a node as the editor gets it. */
export function pageOf(type: string): string {
  return readFileSync(join(root, (manifest['node-red'].nodes[type] ?? '').replace(/js$/, 'html')), 'utf8');
}

/** Runs a node's editor script with an editor that only listens, and returns what it registers. */
export function definitionOf(type: string): Definition {
  const scripts = [...pageOf(type).matchAll(/<script type="text\/javascript">([\s\S]*?)<\/script>/g)];
  const found = new Map<string, Definition>();
  const registerType = (name: string, definition: Definition) => void found.set(name, definition);
  const events = { on: () => undefined };
  const RED = { nodes: { registerType }, _: (key: string) => key, i18n: { lang: () => 'en-US' }, events };
  for (const [, code = ''] of scripts) runInNewContext(code, { RED });
  const definition = found.get(type);
  if (!definition)
    throw new Error(`the editor script of ${type} registers ${[...found.keys()].join(', ') || 'nothing'}`);
  return definition;
}
