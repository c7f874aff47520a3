import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import ts from 'typescript';
import { FlowError } from '../../nodes/shared/errors';
import { FAILURE_CODES, type FailureCode } from '../../nodes/shared/failure-codes';
import { failureCodesPage, PAGE } from '../../scripts/failure-codes';
import { files, parse, walk } from './source';

/** A code that stands in the source: in a `new FlowError(…)`, or in what hands it to one. */
interface Use {
  code: string;
  at: string;
  /** What the call says about trying again, where it is a FlowError's and says so. */
  retryable?: boolean;
}

/** What a code is handed to: the errors, and the helpers that make them. */
const MAKERS = new Set(['FlowError', 'OrgOutage', 'CallLost', 'JetStreamError', 'invalid', 'refuse', 'say']);
const CODE = /^[A-Z][A-Z0-9_]*[A-Z0-9_]$/;

const sources = files('nodes/**/*.ts').filter(
  (file) => !/editor|\.d\.ts$/.test(file) && file !== 'nodes/shared/failure-codes.ts',
);
const trees = sources.map(parse);

/** The literals of a file that may be codes; of a template, its head with `<number>`. */
function literals(tree: ts.SourceFile): { node: ts.Node; code: string }[] {
  return [...walk(tree)].flatMap((node): { node: ts.Node; code: string }[] => {
    if (ts.isStringLiteral(node) && CODE.test(node.text)) return [{ node, code: node.text }];
    if (ts.isTemplateHead(node) && CODE.test(node.text)) return [{ node, code: `${node.text}<number>` }];
    return [];
  });
}

function usesOf(tree: ts.SourceFile): Use[] {
  return literals(tree).flatMap(({ node, code }) => {
    const call = callOf(node);
    const maker = call?.expression.getText().replace('super', 'JetStreamError');
    if (!call || !maker || !MAKERS.has(maker)) return [];
    const [first, , third] = call.arguments ?? [];
    const says = third?.getText() ?? 'true';
    const own = maker === 'FlowError' && first === node && /^(true|false)$/.test(says);
    const line = tree.getLineAndCharacterOfPosition(node.getStart()).line + 1;
    return [{ code, at: `${tree.fileName}:${line}`, ...(own && { retryable: says === 'true' }) }];
  });
}

/** The call whose argument, and not the argument's own call, the node is. */
function callOf(node: ts.Node): ts.NewExpression | ts.CallExpression | undefined {
  if (isCompared(node)) return undefined;
  for (let at: ts.Node = node; !ts.isStatement(at); at = at.parent)
    if (ts.isNewExpression(at) || ts.isCallExpression(at)) return at;
  return undefined;
}

/** `code === 'X'` and `case 'X'` ask for a code, and make none. */
function isCompared({ parent }: ts.Node): boolean {
  return (
    ts.isCaseClause(parent) ||
    ts.isLiteralTypeNode(parent) ||
    (ts.isBinaryExpression(parent) && /^[!=]==$/.test(parent.operatorToken.getText()))
  );
}

test('every code that stands in the source is declared', () => {
  const uses = trees.flatMap(usesOf);
  assert.ok(uses.length > 100, `found ${uses.length} uses`);
  assert.deepEqual(
    uses.filter(({ code }) => !(code in FAILURE_CODES)),
    [],
  );
});

test('what is declared about trying again is what the errors say', () => {
  const wrong = trees.flatMap(usesOf).filter(({ code, retryable }) => {
    const declared = FAILURE_CODES[code as keyof typeof FAILURE_CODES]?.retryable;
    return retryable !== undefined && declared !== 'depends' && declared !== retryable;
  });
  assert.deepEqual(wrong, []);
});

test('every declared code is thrown somewhere', () => {
  const thrown = new Set(
    trees.flatMap((tree) => literals(tree).flatMap(({ node, code }) => (isCompared(node) ? [] : [code]))),
  );
  assert.deepEqual(
    Object.keys(FAILURE_CODES).filter((code) => !thrown.has(code)),
    [],
  );
});

test('a code that is not declared does not compile; one that comes at run time does', () => {
  const foreign: string = ['UNABLE_TO_LOCK_ROW'].join('');
  // @ts-expect-error: nowhere declared
  new FlowError('NOT_DECLARED', 'x');
  // @ts-expect-error: nowhere declared
  new FlowError(`NUMBERED_${1}`, 'x');
  // @ts-expect-error: one of the two is nowhere declared
  new FlowError(foreign ? 'TIMEOUT' : 'NOT_DECLARED', 'x');
  const numbered: FailureCode = `JETSTREAM_${10_059}`;
  assert.equal(new FlowError(foreign, 'x').code, 'UNABLE_TO_LOCK_ROW');
  assert.equal(new FlowError(numbered, 'x').code, 'JETSTREAM_10059');
  assert.equal(new FlowError('TIMEOUT', 'x', false).retryable, false);
});

test('docs/failure-codes.md is up to date (npx tsx scripts/failure-codes.ts)', () => {
  assert.equal(readFileSync(PAGE, 'utf8'), failureCodesPage());
});
