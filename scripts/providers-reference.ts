import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { APIS } from '../nodes/sync/providers/catalog';
import { costOf } from '../nodes/sync/providers/rest/cost';
import type { CollectionDeclaration, Declaration } from '../nodes/sync/providers/rest/declaration';
import { nameOf } from '../nodes/sync/providers/rest/find';
import schema from '../nodes/sync/providers/rest/declaration.schema.json';

/** Fills the parts of docs/providers.md that are said elsewhere already, between their marks: `npm run docs`. */
export const PAGE = join(__dirname, '../docs/providers.md');
const EXAMPLE = join(__dirname, '../examples/Another API by a declaration.json');

interface Schema {
  $ref?: string;
  type?: string | readonly string[];
  const?: string;
  enum?: readonly string[];
  description?: string;
  properties?: Record<string, Schema>;
  required?: readonly string[];
  oneOf?: readonly Schema[];
  items?: Schema;
  additionalProperties?: boolean | Schema;
}

const { $defs, ...root } = schema as unknown as Schema & { $defs: Record<string, Schema> };

export function providersPage(page: string): string {
  const parts: Record<string, string> = {
    collections: collections(),
    reference: reference(),
    example: example(),
  };
  return page.replace(
    /(<!-- (\w+): made[^>]*-->\n)[\s\S]*?(\n<!-- end -->)/g,
    (_whole, begin: string, name: string, end: string) =>
      `${begin}\n${parts[name] ?? ''}\n${end.trimStart()}`,
  );
}

function collections(): string {
  const rows = Object.values(APIS).flatMap((api) =>
    Object.entries(api.collections).map(([id, of]) => {
      const name = nameOf(api, id);
      return row(`\`${name}\``, of.rights ?? '', changesOf(of), deletionsOf(of), callsOf(api, name, of));
    }),
  );
  return table(['Collection', 'The token needs', 'Changes by', 'Deletions by', 'Calls a day at 1m'], rows);
}

function changesOf({ changes, list }: CollectionDeclaration): string {
  if (!changes) return `reading all of it, ${list.size} a call; what differs is a change`;
  if (changes.events) return `events, kept for ${changes.keeps ?? 'ever'}`;
  const how = {
    since: 'its time of change',
    newest: 'its time of change, newest first',
    cursor: "the API's own cursor",
    walk: 'what is new before a known one',
  };
  const late = changes.lookback === undefined ? '' : `, ${changes.lookback} looked back`;
  return how[changes.by] + late;
}

function deletionsOf({ changes, deleted, bin, merged, compare }: CollectionDeclaration): string {
  return [
    changes?.events ? 'events' : '',
    deleted && !bin && !changes?.events ? 'the record itself' : '',
    bin ? 'the list of archived ones' : '',
    merged === undefined ? '' : 'the survivor of a merge',
    compare ? `comparing ids${changes ? `, every ${compare.every}` : ''}` : '',
  ]
    .filter(Boolean)
    .join('; ');
}

function callsOf(api: Declaration, name: string, of: CollectionDeclaration): string {
  const { calls, free } = costOf(api, [name], 60_000);
  const more = of.changes ? '' : ' × pages';
  return `${calls.toLocaleString('en-US')}${more}${free ? ', unchanged ones free' : ''}`;
}

function reference(): string {
  const sections = Object.entries($defs).filter(([, of]) => of.properties ?? of.oneOf);
  return [section('The whole', root), ...sections.map(([name, of]) => section(`\`${name}\``, of))].join(
    '\n\n',
  );
}

function section(title: string, of: Schema): string {
  const about = of.description === undefined ? '' : `\n${of.description}\n`;
  const shapes = of.oneOf ?? [of];
  const rows = new Map<string, string>();
  for (const { properties = {}, required = [] } of shapes)
    for (const [name, each] of Object.entries(properties)) {
      const { description = '' } = each;
      const always = shapes.every((shape) => shape.required?.includes(name));
      const only = shapes.length > 1 && required.includes(name) && !always ? kindOf(properties) : '';
      if (!rows.has(name) || only !== '')
        rows.set(
          name,
          row(`\`${name}\`${always ? ' (needed)' : ''}`, shapeOf(name, each, shapes), only + description),
        );
    }
  return `### ${title}\n${about}\n${table(['Name', 'Is', 'Means'], [...rows.values()])}`;
}

function kindOf(properties: Record<string, Schema>): string {
  const { const: kind = '' } = properties.by ?? properties.kind ?? {};
  return kind === '' ? '' : `Of \`${kind}\`. `;
}

function shapeOf(name: string, of: Schema, shapes: readonly Schema[]): string {
  if (of.const !== undefined)
    return shapes.map(({ properties }) => `\`${properties?.[name]?.const}\``).join(' · ');
  if (of.enum) return of.enum.map((each) => `\`${each}\``).join(' · ');
  if (of.$ref !== undefined) return `a \`${of.$ref.split('/').at(-1)}\``;
  if (of.items) return `a list of ${shapeOf('', of.items, [])}`;
  if (of.properties) return `\`{ ${Object.keys(of.properties).join(', ')} }\``;
  if (typeof of.additionalProperties === 'object')
    return `by name: ${shapeOf('', of.additionalProperties, [])}`;
  const types = [of.type ?? 'any JSON'].flat();
  return types.join(' or ').replace('string', 'text').replace('boolean', 'true or false');
}

function example(): string {
  const nodes = JSON.parse(readFileSync(EXAMPLE, 'utf8')) as { definition?: string }[];
  return `\`\`\`json\n${nodes.find(({ definition }) => definition)?.definition?.trim()}\n\`\`\``;
}

function table(head: string[], rows: string[]): string {
  return [row(...head), row(...head.map(() => '---')), ...rows].join('\n');
}

function row(...cells: string[]): string {
  return `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
}

if (require.main === module) writeFileSync(PAGE, providersPage(readFileSync(PAGE, 'utf8')));
