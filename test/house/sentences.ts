import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import ts from 'typescript';
import { keyOf } from '../../nodes/shared/say';
import { root } from '../support/user-dir';

/** What the runtime says, and what stands in a form, a reference or a declaration and has its languages there. */
const ELSEWHERE =
  /\.editor\.ts$|\.settings\.ts$|\.d\.ts$|shared\/editor\/|shared\/failure-codes\.ts$|operations\/metrics\.ts$|providers\/(github|hubspot|jira|stripe|zendesk)\.ts$/;

export const runtimeFiles = (): string[] =>
  globSync('nodes/**/*.ts', { cwd: root })
    .map((path) => path.replaceAll('\\', '/'))
    .filter((path) => !ELSEWHERE.test(path))
    .sort();

/** Words that aren't said to anybody: names of things elsewhere, of our own states, and what only we throw at ourselves. */
const NO_SENTENCES: Record<string, readonly string[]> = {
  // As the server says it.
  'nodes/jetstream/consume/durable.ts': ['stream not found'],
  'nodes/jetstream/consume/partition-copy.ts': [
    'stream not found',
    'Partitions of the durable "{1}" of the stream "{2}" (Node-RED)',
  ],
  // Kept in NATS.
  'nodes/jetstream/consume/ledger.ts': ['What jetstream-in nodes of Node-RED have tried'],
  // Names of spans, and how they ended.
  'nodes/jetstream/jetstream-in.ts': ['process {1}'],
  'nodes/jetstream/jetstream-out.ts': ['publish {1}'],
  'nodes/salesforce/composite/bulk/lane.ts': ['Bulk job {1}: {2} {3}', 'no end', 'bulk {1} {2}'],
  'nodes/salesforce/composite/writer.ts': ['{1} Salesforce'],
  'nodes/salesforce/sfdc-event-in.ts': ['process {1}'],
  'nodes/salesforce/sfdc-platform-event.ts': ['publish {1}'],
  'nodes/sync/engine/traced.ts': ['publish {1}'],
  // Headers of HTTP.
  'nodes/salesforce/org/auth.ts': ['Bearer {1}'],
  'nodes/salesforce/org/session.ts': ['Bearer {1}'],
  'nodes/shared/http/proxy.ts': ['Basic {1}'],
  'nodes/sync/providers/rest/auth.ts': ['Bearer {1}', 'Basic {1}'],
  'nodes/sync/providers/rest/grant.ts': ['Bearer {1}'],
  // SOQL.
  'nodes/sync/providers/salesforce/backfill.ts': ['{1} ORDER BY Id'],
  'nodes/sync/providers/salesforce/query.ts': ['WHERE Id IN ({1})'],
  // Words that only the code reads.
  'nodes/salesforce/composite/keys.ts': ['id {1}'],
  'nodes/shared/errors.ts': ['too much to tell'],
  'nodes/shared/flow/node-warnings.ts': ['tcp request'],
  'nodes/shared/flow/settlement.ts': ['give back', 'give up'],
  'nodes/shared/settings/kinds.ts': ['field map'],
  'nodes/sync/history/history-worker.ts': ['never thrown here'],
};

type Literal = ts.StringLiteral | ts.NoSubstitutionTemplateLiteral | ts.TemplateExpression;

export interface Sentence {
  node: ts.Node;
  line: number;
  text: string;
}

/** The keys of what a file says, and what stands there as a sentence and isn't said. */
export function sentencesIn(path: string, source = readFileSync(join(root, path), 'utf8')) {
  const file = ts.createSourceFile(path, source, ts.ScriptTarget.Latest, true);
  const said: Sentence[] = [];
  const unsaid: Sentence[] = [];
  const kept: Sentence[] = [];
  const at = (node: ts.Node, text: string): Sentence => ({
    ...{ node, text },
    line: file.getLineAndCharacterOfPosition(node.getStart()).line + 1,
  });
  const visit = (node: ts.Node): void => {
    if (ts.isImportDeclaration(node) || ts.isTypeNode(node)) return;
    if (ts.isTaggedTemplateExpression(node) && node.tag.getText() === 'say') {
      const sentence = at(node, keyOf(partsOf(node.template)));
      said.push(sentence);
      if (!isWithinFunction(node)) kept.push(sentence);
      if (ts.isTemplateExpression(node.template))
        for (const { expression } of node.template.templateSpans) visit(expression);
      return;
    }
    if (isLiteral(node) && isSentence(node) && !NO_SENTENCES[path]?.includes(keyOf(partsOf(node))))
      unsaid.push(at(node, keyOf(partsOf(node))));
    ts.forEachChild(node, visit);
  };
  visit(file);
  return { said, unsaid, kept };
}

function isLiteral(node: ts.Node): node is Literal {
  return (
    ts.isStringLiteral(node) || ts.isNoSubstitutionTemplateLiteral(node) || ts.isTemplateExpression(node)
  );
}

export function partsOf(literal: Literal): string[] {
  if (!ts.isTemplateExpression(literal)) return [literal.text];
  return [literal.head.text, ...literal.templateSpans.map((span) => span.literal.text)];
}

/** Two words that are ones, or one beside a value; and nothing that is compared with, or a name. */
function isSentence(node: Literal): boolean {
  const { parent } = node;
  if (ts.isCaseClause(parent) || ts.isElementAccessExpression(parent)) return false;
  if (ts.isPropertyAssignment(parent) && parent.name === node) return false;
  if (ts.isBinaryExpression(parent) && /^[!=]==$/.test(parent.operatorToken.getText())) return false;
  const tokens = partsOf(node).join('⬚').trim().split(/\s+/);
  const words = tokens.filter((token) =>
    /^["'(“„]?([A-Za-z]?[a-z]+|[A-Z])(['’][a-z]+)?[.,;:)!?"'”]*$/.test(token),
  );
  const values = tokens.filter((token) => token.includes('⬚'));
  return words.length > 1 || (words.length === 1 && values.length > 0);
}

export function isWithinFunction(node: ts.Node): boolean {
  for (let at = node.parent; !ts.isSourceFile(at); at = at.parent) if (ts.isFunctionLike(at)) return true;
  return false;
}

/** What declarations call a choice in sentences, or advise: by `called`, or said as it is. */
export function calledIn(path: string, source = readFileSync(join(root, path), 'utf8')): string[] {
  const file = ts.createSourceFile(path, source, ts.ScriptTarget.Latest, true);
  const found: string[] = [];
  const visit = (node: ts.Node): void => {
    const isNamed = ts.isPropertyAssignment(node) && /^(noun|advice)$/.test(node.name.getText());
    if (isNamed && ts.isStringLiteral(node.initializer)) found.push(node.initializer.text);
    const isCall = ts.isCallExpression(node) && node.expression.getText() === 'called';
    const given = isCall ? node.arguments[0] : undefined;
    if (given && ts.isStringLiteral(given)) found.push(given.text);
    ts.forEachChild(node, visit);
  };
  visit(file);
  return found;
}
