import { AsyncLocalStorage } from 'node:async_hooks';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { speakBy, type Labels, type Language } from './say';

/** Without a catalogue: the sentences are written in it. */
const ENGLISH = 'en';
const OTHERS: readonly Language['name'][] = ['de'];

const languages = new Map<string, Language>();
const labels = new Map<string, Labels>();
/** Of somebody who waits for an answer. What goes on behind it is said in the runtime's language again. */
const asked = new AsyncLocalStorage<{ language?: string }>();
let own = ENGLISH;

speakBy(() => languages.get(asked.getStore()?.language ?? own), labelsOf);

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

/** Where the texts of forms are: here in what is built, above in the source. */
const FOLDERS = [__dirname, join(__dirname, '..')];
const HALLS = ['jetstream', 'salesforce', 'sync'];

/** Read once, of the nodes that have something to say. */
function labelsOf(language: string, type: string): Labels {
  const key = `${language} ${type}`;
  let found = labels.get(key);
  if (!found) labels.set(key, (found = readLabels(language === ENGLISH ? 'en-US' : language, type)));
  return found;
}

function readLabels(language: string, type: string): Labels {
  if (type === 'stream') {
    const texts = Object.entries(readTexts([`shared/editor/texts/${language}.json`]) as Labels);
    return Object.fromEntries(texts.map(([name, text]) => [name.replace(/^stream_/, ''), text]));
  }
  const { label } = readTexts(HALLS.map((hall) => `${hall}/locales/${language}/${type}.json`));
  return (label ?? {}) as Labels;
}

/** The first of these files that there is. */
function readTexts(paths: string[]): Record<string, unknown> {
  const [file] = FOLDERS.flatMap((folder) => paths.map((path) => join(folder, path))).filter(existsSync);
  return file === undefined ? {} : (JSON.parse(readFileSync(file, 'utf8')) as Record<string, unknown>);
}
