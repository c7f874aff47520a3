import english from './texts/en-US.json';
import german from './texts/de.json';

type Key = keyof typeof english;

const catalogs: Record<string, Record<Key, string>> = { 'en-US': english, de: german };

/** A text that several forms share, in the editor's language. What only one form says is in its own locales. */
export function text(key: Key, values: Record<string, string | number> = {}): string {
  const template = (catalogs[RED.i18n.lang()] ?? english)[key];
  return template.replace(/__(\w+)__/g, (whole, name: string) => String(values[name] ?? whole));
}

/** What a declaration says, in the editor's language. */
export function inLanguage(words: string | { en: string; de: string }): string {
  return typeof words === 'string' ? words : RED.i18n.lang().startsWith('de') ? words.de : words.en;
}

const PACKAGE = '@jetforce/node-red-jetstream-salesforce';

/** A text of a node's own locales, where there is no node to ask: in its definition. */
export function nodeText(type: string, key: string): string {
  return RED._(`${PACKAGE}/${type}:${key}`);
}
