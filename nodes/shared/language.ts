import { AsyncLocalStorage } from 'node:async_hooks';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { speakBy, type Language } from './say';

/** Without a catalogue: the sentences are written in it. */
const ENGLISH = 'en';
const OTHERS: readonly Language['name'][] = ['de'];

const languages = new Map<string, Language>();
/** Of somebody who waits for an answer. What goes on behind it is said in the runtime's language again. */
const asked = new AsyncLocalStorage<{ language?: string }>();
let own = ENGLISH;

speakBy(() => languages.get(asked.getStore()?.language ?? own));

/** The runtime's language from now on, "de" of "de-AT"; English where there is no catalogue. */
export function speak(language: string): void {
  own = known([language]) ?? ENGLISH;
}

/** The runtime's language. */
export function spoken(): string {
  return own;
}

/** What `work` says is said in the first of these languages that there is, else in the runtime's. */
export async function speaking<T>(wanted: readonly string[], work: () => Promise<T>): Promise<T> {
  const language = known(wanted);
  // To follow a request through its promises costs each promise of the process something.
  if (language === undefined || language === own) return work();
  const context: { language?: string } = { language };
  try {
    return await asked.run(context, work);
  } finally {
    delete context.language;
  }
}

function known(wanted: readonly string[]): string | undefined {
  for (const each of wanted) {
    const base = each.split('-')[0]?.toLowerCase();
    if (base === ENGLISH) return base;
    const name = OTHERS.find((other) => other === base);
    if (name === undefined) continue;
    if (!languages.has(name)) languages.set(name, { name, sentences: sentencesOf(name) });
    return name;
  }
  return undefined;
}

/** Sentences by their key. Read where somebody speaks it, as most don't. */
function sentencesOf(language: Language['name']): Language['sentences'] {
  return JSON.parse(
    readFileSync(join(__dirname, `sentences.${language}.json`), 'utf8'),
  ) as Language['sentences'];
}
