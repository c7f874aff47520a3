import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { NodeSettings, Setting } from '../nodes/shared/settings/settings';
import sharedTexts from '../nodes/shared/editor/texts/en-US.json';

/**
 * Writes docs/settings: a page for each node type, from nodes/<room>/x.settings.ts and its English texts. `npm run docs`;
 * a test holds the pages to what this makes.
 */
export const FOLDER = join(__dirname, '../docs/settings');

const root = join(__dirname, '..');
const shared: Partial<Record<string, string>> = sharedTexts;

interface Texts {
  [key: string]: string | Texts;
}

/** A declared node type and where its files are. */
export interface DeclaredNode {
  room: string;
  declared: NodeSettings;
}

export function declaredNodes(): DeclaredNode[] {
  const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
    'node-red': { nodes: Record<string, string> };
  };
  return Object.entries(manifest['node-red'].nodes).map(([type, path]) => {
    const room = path.split('/')[1] ?? '';
    // eslint-disable-next-line @typescript-eslint/no-require-imports -- which files there are, package.json says
    const found = require(join(root, 'nodes', room, `${type}.settings`)) as Record<string, NodeSettings>;
    const declared = Object.values(found).find((each) => each?.type === type && 'settings' in each);
    if (!declared) throw new Error(`${type}.settings.ts declares no ${type}`);
    return { room, declared };
  });
}

/** The text behind "tip.subject" in a catalog; undefined where there is none. */
export function textOf(texts: Texts, key: string): string | undefined {
  const found = key
    .split('.')
    .reduce<string | Texts | undefined>((at, part) => (typeof at === 'object' ? at[part] : undefined), texts);
  return typeof found === 'string' ? found : undefined;
}

/** What a setting means beyond its label, as the form says it: its tip and those of its choices. */
export function meaningOf(texts: Texts, name: string, setting: Setting): string[] {
  const named = setting.kind === 'field map' ? ['event', 'map'] : (setting.values ?? []);
  const options = setting.kind === 'field map' ? `${name}Mode` : name;
  const choices = named.flatMap((value) => {
    const label = textOf(texts, `${options}.${value}`) ?? setting.labels?.[value];
    const said = [label, textOf(texts, `tip.${value}`)];
    return said[0] === undefined ? [] : [`\`${value}\`: ${said.filter(Boolean).join('. ')}`];
  });
  return [textOf(texts, `tip.${name}`), ...choices].filter((text) => text !== undefined);
}

/** The texts of a group whose labels are those of all forms, in the shape of a node's own. */
export function sharedCatalog(
  texts: Partial<Record<string, string>>,
  prefix: string,
  names: string[],
): Texts {
  const label = Object.fromEntries(names.map((name) => [name, texts[`${prefix}_${name}`] ?? '']));
  const tip = Object.fromEntries(
    names.flatMap((name) => {
      const said = texts[`${prefix}_tip_${name}`];
      return said === undefined ? [] : [[name, said]];
    }),
  );
  const options = names.map((name) => {
    const start = `${prefix}_${name}_`;
    const own = Object.entries(texts).filter(([key]) => key.startsWith(start));
    return [
      name,
      Object.fromEntries(own.map(([key, text]) => [key.slice(start.length), text ?? ''])),
    ] as const;
  });
  return { ...Object.fromEntries(options), label, tip };
}

export function settingsPage({ room, declared }: DeclaredNode): string {
  const { type, settings } = declared;
  const locales = join(root, 'nodes', room, 'locales/en-US', type);
  const texts = JSON.parse(readFileSync(`${locales}.json`, 'utf8')) as Texts;
  const [, what = ''] = /<p>([\s\S]*?)<\/p>/.exec(readFileSync(`${locales}.html`, 'utf8')) ?? [];
  const sections = new Map<string | undefined, string[]>();
  for (const [name, setting] of Object.entries(settings)) {
    const rows = sections.get(setting.section) ?? [];
    sections.set(setting.section, rows);
    if (setting.fields) {
      const names = Object.keys(setting.fields);
      const catalog = setting.texts ? sharedCatalog(shared, setting.texts, names) : texts;
      for (const [part, field] of Object.entries(setting.fields))
        rows.push(row(catalog, part, { ...field, when: field.when ?? setting.when }, `${name}.${part}`));
    } else rows.push(row(texts, name, setting, name));
  }
  const tables = [...sections].map(([section, rows]) =>
    [
      ...(section === undefined ? [] : [`## ${textOf(texts, `section.${section}`)}`, '']),
      ...HEAD,
      ...rows,
      '',
    ].join('\n'),
  );
  return `# Settings of ${type}

${markdown(what)}

${tables.join('\n')}
A value that is \`\${NAME}\` or \`\${NAME:-otherwise}\` as a whole is taken from the environment. What a flow leaves out has the default.
The settings have version ${declared.version}; a flow says so in \`version\`, and older ones are brought up to it when they are loaded.

<!-- Made by scripts/settings-reference.ts (npm run docs) from nodes/${room}/${type}.settings.ts and its texts. -->
`;
}

const HEAD = [
  '| Label | Property | Default | Allowed | Message may say | Meaning |',
  '| --- | --- | --- | --- | --- | --- |',
];

function row(texts: Texts, name: string, setting: Setting, property: string): string {
  const label = textOf(texts, `label.${name}`) ?? '';
  const message = setting.msg === undefined ? '' : `\`msg.${setting.msg}\``;
  const meaning =
    name === 'name' ? 'What the editor calls the node.' : meaningOf(texts, name, setting).join('<br>');
  const cells = [
    label,
    `\`${property}\``,
    shownDefault(setting),
    allowed(setting),
    message,
    markdown(meaning),
  ];
  return `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
}

function shownDefault({ kind, default: value }: Setting): string {
  if (kind === 'field map') return '`event`';
  const text = typeof value === 'string' || value === undefined ? (value ?? '') : JSON.stringify(value);
  return text === '' || text === '[]' ? '' : `\`${text}\``;
}

function allowed(setting: Setting): string {
  const { required = false, when, limits = {}, open = false } = setting;
  const parts = [
    what(setting),
    limits.min === undefined ? '' : `at least ${limits.min}`,
    limits.max === undefined ? '' : `at most ${limits.max}`,
    open && shownDefault(setting) !== '' ? 'left out: not set' : '',
    when === undefined ? '' : `counts when ${condition(when)}`,
    required === true ? 'required' : required === false ? '' : `required when ${condition(required)}`,
  ];
  return parts
    .filter((part) => part !== '')
    .join('; ')
    .replaceAll('*', '\\*');
}

function what({ kind, values, type, fault }: Setting): string {
  if (values) return values.map((value) => `\`${value}\``).join(', ');
  if (kind === 'node') return `one of type \`${type}\``;
  if (kind === 'boolean') return 'true or false';
  if (kind === 'credential') return 'a secret, kept out of the flow';
  if (kind === 'field map') return '`event` or a map of fields';
  if (kind === 'headers') return 'a list of names and templates';
  if (!fault) return kind === 'list' ? 'a list' : 'text';
  const said = Object.entries(fault.values ?? {}).reduce(
    (text, [key, value]) => text.replaceAll(`__${key}__`, String(value)),
    shared[fault.text] ?? '',
  );
  const each = kind === 'list' ? 'a list, each ' : '';
  return said
    .replace(/^not (?=an? )/, each)
    .replace(/^a template is not complete: write (.*)$/, 'text with templates such as $1')
    .replace('; write for example', ', for example')
    .replace('; write', ':');
}

/** "auth=jwt|nkey !provision" in words. */
function condition(conditions: string): string {
  const one = (text: string): string => {
    const [, not, name = '', values] = /^(!?)([\w-]+)(?:=(.*))?$/.exec(text) ?? [];
    const is = not ? 'is not' : 'is';
    return `\`${name}\` ${is} ${(values ?? 'true')
      .split('|')
      .map((value) => (value === '' ? 'empty' : `\`${value}\``))
      .join(' or ')}`;
  };
  return conditions
    .split(' or ')
    .map((all) => all.split(/\s+/).map(one).join(' and '))
    .join(', or when ');
}

function markdown(html: string): string {
  return html
    .replace(/<\/?code>/g, '`')
    .replace(/<\/?i>/g, '*')
    .replace(/<\/?b>/g, '**')
    .replaceAll('&gt;', '>')
    .replaceAll('&lt;', '<')
    .replaceAll('&amp;', '&')
    .replace(/\s*\n\s*/g, ' ')
    .trim();
}

if (require.main === module) {
  mkdirSync(FOLDER, { recursive: true });
  for (const node of declaredNodes())
    writeFileSync(join(FOLDER, `${node.declared.type}.md`), settingsPage(node));
}
