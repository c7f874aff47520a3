import german from './texts/errors.de.json';

const texts: Partial<Record<string, string>> = german;

/**
 * An error of the runtime in the editor's language. The runtime's own sentence is English and says it exactly, with
 * names and addresses; in another language the reason comes first, by its code.
 */
export function errorText({ code, message }: { code: string; message: string }): string {
  if (!/^de\b/.test(RED.i18n.lang())) return message;
  const reason = texts[code] ?? texts[code.replace(/\d+$/, '<number>')];
  return reason === undefined ? message : `${reason} (${message})`;
}
