import german from './texts/errors.de.json';

const texts: Partial<Record<string, string>> = german;

let runtime = 'en';

/** The language of what the runtime has said before anybody asked. */
export function runtimeSpeaks(language: string): void {
  runtime = language;
}

/**
 * An error that the runtime has told of in its own language, exactly, with names and addresses. Where the editor has
 * another one, the reason comes first, by its code.
 */
export function errorText({ code, message }: { code: string; message: string }): string {
  if (runtime === 'de' || !/^de\b/.test(RED.i18n.lang())) return message;
  const reason = texts[code] ?? texts[code.replace(/\d+$/, '<number>')];
  return reason === undefined ? message : `${reason} (${message})`;
}
