import type { NodeAPI } from 'node-red';
import { FlowError } from './errors';
import type { NodeSettings } from './settings/settings';
import { variableOf } from './settings/variables';
import { say } from './say';

/**
 * An address from an environment variable that is not set must not lead to the default one, nor seem to be forgotten.
 * `resolved` is the node's configuration as Node-RED hands it over. Throws NO_ENVIRONMENT naming the variable.
 */
export function requireEnvironment(
  RED: NodeAPI,
  { type, settings }: NodeSettings,
  resolved: Readonly<Record<string, unknown>> & { id: string },
): void {
  let written: Record<string, unknown> = {};
  RED.nodes.eachNode((node) => {
    if (node.id === resolved.id) written = node as unknown as Record<string, unknown>;
  });
  for (const [name, { address }] of Object.entries(settings)) {
    const variable = address ? variableOf(written[name]) : undefined;
    if (variable !== undefined && (resolved[name] ?? '') === '') throw unset(type, name, variable);
  }
}

export function unset(type: string, setting: string, variable: string): FlowError {
  return new FlowError(
    'NO_ENVIRONMENT',
    say`The environment variable ${variable} is not set, from which the ${type} takes "${setting}": set it where Node-RED starts`,
    false,
  );
}
