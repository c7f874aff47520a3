/** The value of a setting beside the one in question, or its default where nothing is said. */
export type ValueOf = (name: string) => unknown;

/**
 * Whether "auth=jwt|nkey provision" holds of the settings: every condition of it, or those behind an "or". A name
 * alone: the box is ticked; nothing behind `=`: the setting is empty; `!` in front: the rest does not hold.
 */
export function holds(conditions: string, valueOf: ValueOf): boolean {
  return conditions.split(' or ').some((all) => holdAll(all, valueOf));
}

function holdAll(conditions: string, valueOf: ValueOf): boolean {
  return conditions.split(/\s+/).every((condition) => {
    const [, not = '', name = '', allowed] = /^(!?)([\w-]+)(?:=(.*))?$/.exec(condition) ?? [];
    const found = valueOf(name);
    // A secret that nobody has entered has no default, and is empty.
    const said = String((found as string | undefined) ?? '');
    const truth =
      allowed === undefined ? found === true || found === 'true' : allowed.split('|').includes(said);
    return truth === (not === '');
  });
}
