import { globSync, readFileSync } from 'node:fs';
import path from 'node:path';
import ts from 'typescript';

/** The repository as its tests look at it: its files, parsed, and what they import. */
export const root = path.resolve(__dirname, '../..');

/** Repository paths that match a glob of the repository, sorted. */
export function files(...globs: string[]): string[] {
  return globSync(globs, { cwd: root, exclude: (name) => name === 'node_modules' }).sort();
}

export function parse(file: string): ts.SourceFile {
  const text = readFileSync(path.join(root, file), 'utf8');
  return ts.createSourceFile(file, text, ts.ScriptTarget.Latest, true);
}

/** Every node of a tree, from the root on. */
export function* walk(node: ts.Node): Generator<ts.Node> {
  yield node;
  const children: ts.Node[] = [];
  node.forEachChild((child) => void children.push(child));
  for (const child of children) yield* walk(child);
}

export interface Import {
  /** As it is written. */
  from: string;
  /** Gone when it runs. */
  typeOnly: boolean;
}

/** What a file imports: by `import`, `export … from`, `import()`, `require()` and `import('…')` as a type. */
export function importsOf(file: string): Import[] {
  const imports = known.get(file) ?? readImports(file);
  known.set(file, imports);
  return imports;
}

const known = new Map<string, Import[]>();

function readImports(file: string): Import[] {
  return [...walk(parse(file))].flatMap((node): Import[] => {
    if (ts.isImportDeclaration(node)) return [{ from: textOf(node.moduleSpecifier), typeOnly: isType(node) }];
    if (ts.isExportDeclaration(node) && node.moduleSpecifier)
      return [{ from: textOf(node.moduleSpecifier), typeOnly: node.isTypeOnly }];
    if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument))
      return [{ from: textOf(node.argument.literal), typeOnly: true }];
    if (ts.isCallExpression(node) && /^(import|require|require\.resolve)$/.test(node.expression.getText()))
      return node.arguments.map((argument) => ({ from: textOf(argument), typeOnly: false }));
    return [];
  });
}

/** The file that a relative import means; undefined where it means a package. */
export function resolveImport(file: string, from: string): string | undefined {
  if (!from.startsWith('.')) return undefined;
  const target = path.join(path.dirname(file), from.replace(/\.js$/, ''));
  return [target, `${target}.ts`, `${target}.d.ts`, path.join(target, 'index.ts')].find((candidate) =>
    ts.sys.fileExists(path.join(root, candidate)),
  );
}

function isType({ importClause }: ts.ImportDeclaration): boolean {
  if (!importClause) return false;
  const { phaseModifier, name, namedBindings } = importClause;
  if (phaseModifier === ts.SyntaxKind.TypeKeyword) return true;
  if (name || !namedBindings || !ts.isNamedImports(namedBindings)) return false;
  return namedBindings.elements.length > 0 && namedBindings.elements.every(({ isTypeOnly }) => isTypeOnly);
}

function textOf(node: ts.Node): string {
  return ts.isStringLiteralLike(node) ? node.text : '';
}
