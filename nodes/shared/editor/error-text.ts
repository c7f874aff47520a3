import german from './texts/errors.de.json';

/**
 * An error of the runtime in the editor's language. The runtime's own sentence is English and says it exactly, with
 * names and addresses; in another language the reason comes first, by its code.
 */
export function errorText({ code, message }: { code: string; message: string }): string {
  if (RED.i18n.lang() !== 'de') return message;
  const reason = (german as Partial<Record<string, string>>)[code];
  return reason === undefined ? message : `${reason} (${message})`;
}
