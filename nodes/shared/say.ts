type Value = string | number | boolean | null | undefined;

/** Another language than English, with its sentences under their keys. */
export interface Language {
  name: 'de';
  sentences: Readonly<Record<string, string | undefined>>;
}

/** What the forms of a node type call its settings; "stream" has those of all forms that make one. */
export type Labels = Readonly<Record<string, string | undefined>>;

let languageNow: () => Language | undefined = () => undefined;
let labelsIn: (language: 'en' | Language['name'], type: string) => Labels = () => ({});

/** `now` tells the language of the moment; undefined is English. */
export function speakBy(now: () => Language | undefined, labels: typeof labelsIn): void {
  languageNow = now;
  labelsIn = labels;
}

/**
 * A sentence in the language of the moment. It stands in the source in English, and the catalogues have it under that
 * (keyOf). What it quotes of others stays as it is. It is said where it is needed and not kept in a constant: the
 * language is known only then.
 */
export function say(english: TemplateStringsArray, ...values: Value[]): string {
  const language = languageNow();
  if (language) return translated(language, english, values);
  let text = english[0] ?? '';
  for (let i = 0; i < values.length; i++) text += String(values[i]) + english[i + 1];
  return text;
}

/** What the form calls a setting, in the language of the moment; its property where the form has no label for it. */
export function labelOf(type: string, name: string): string {
  return labelsIn(languageNow()?.name ?? 'en', type)[name] ?? name;
}

/** A text, or one for each language. */
export type Words = string | Record<'en' | Language['name'], string>;

/** What a declaration calls something, or advises: in its own words for each language, or by the catalogue. */
export function called(words: Words): string {
  const language = languageNow();
  if (typeof words !== 'string') return words[language?.name ?? 'en'];
  return language?.sentences[words] ?? words;
}

/** `The stream {1} is gone`, of say`The stream ${name} is gone`. */
export function keyOf(english: readonly string[]): string {
  return english.reduce((key, part, i) => `${key}{${i}}${part}`);
}

const found = new WeakMap<Language, WeakMap<TemplateStringsArray, string>>();

/** In English where the catalogue doesn't have it. */
function translated(language: Language, english: TemplateStringsArray, values: readonly Value[]): string {
  let known = found.get(language);
  if (!known) found.set(language, (known = new WeakMap()));
  let sentence = known.get(english);
  if (sentence === undefined) {
    const key = keyOf(english);
    known.set(english, (sentence = language.sentences[key] ?? key));
  }
  return sentence.replace(/\{(\d+)\}/g, (blank, place: string) => {
    const at = Number(place) - 1;
    return at in values ? String(values[at]) : blank;
  });
}
