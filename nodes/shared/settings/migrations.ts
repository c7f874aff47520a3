import { FlowError } from '../errors';
import { say } from '../say';

/** A node's settings as they stand in a flow. */
export type Config = Readonly<Record<string, unknown>>;

/**
 * The way from older settings to the present ones: step n makes version n from version n - 1. A version without a
 * step only adds settings, whose defaults do. The editor keeps no property that isn't declared, so a step that
 * renames one leaves the old name declared.
 */
export type Migrations = Readonly<Record<number, (config: Config) => Config>>;

export interface Versioned {
  readonly type: string;
  /** Of its settings; those of the first release have none, which is 0. */
  readonly version: number;
  readonly migrations: Migrations;
}

/**
 * The settings in the present version; the same object where they are. Throws NEWER_VERSION for those of a newer
 * pack, whose meaning can't be known, and INVALID_SETTING for what is no version.
 */
export function migrate({ type, version, migrations }: Versioned, config: Config): Config {
  const from = config['version'] ?? 0;
  if (typeof from !== 'number' || !Number.isInteger(from) || from < 0)
    throw new FlowError(
      'INVALID_SETTING',
      say`version: ${JSON.stringify(from)} is not a version of the settings of ${type}; it is a whole number that the editor writes`,
      false,
    );
  if (from > version)
    throw new FlowError(
      'NEWER_VERSION',
      say`The settings of this ${type} have version ${from}, and this pack knows them up to ${version}: update the pack, or set the node up anew`,
      false,
    );
  let current = config;
  for (let next = from + 1; next <= version; next++)
    current = { ...(migrations[next]?.(current) ?? current), version: next };
  return current;
}
