import type { Form } from '../../shared/editor/form';
import { lookup, type ConfigSource } from '../../shared/editor/lookup';
import type { Problem } from './rest/check';

const SCHEMA = 'https://jetforce.invalid/declaration.schema.json';
const OWNER = 'jetforce';
/** Milliseconds after the last key. */
const SETTLED = 400;

const NEW = `{
  "label": "My API",
  "auth": [{ "kind": "bearer", "token": "{token}" }],
  "collections": {
    "things": {
      "label": "Things",
      "id": "id",
      "updated": "updated_at",
      "list": {
        "get": "/things",
        "query": { "page": "{next}", "per_page": "{size}" },
        "records": "data",
        "paging": { "by": "page" },
        "size": 100
      }
    }
  }
}
`;

/** The editor of a declaration: completes and marks by the schema, and by what the runtime says of it. */
export interface DefinitionEditor {
  close(): void;
}

/** It is made when it is first seen: hidden it has no size. What it holds is in the form's input at any time. */
export function definitionEditor(node: EditorNode, form: Form, source: () => ConfigSource): DefinitionEditor {
  const input = form.input('definition');
  let editor: CodeEditor | undefined;
  let waiting: ReturnType<typeof setTimeout> | undefined;
  let asked = 0;

  const check = async () => {
    const mine = ++asked;
    const problem = await lookup<Problem | null>(source(), 'check').catch(() => undefined);
    if (mine !== asked || problem === undefined || !editor) return;
    mark(editor, problem);
    $('#jetforce-definition-problem')
      .toggleClass('jetforce-error', problem !== null)
      .text(problem ? node._('definitionWrong', said(problem)) : node._('definitionRight'));
  };
  const changed = () => {
    input.val(editor?.getValue() ?? '').trigger('change');
    clearTimeout(waiting);
    waiting = setTimeout(() => void check(), SETTLED);
  };
  const open = () => {
    if (form.text('definition') === '') input.val(NEW).trigger('change');
    editor = RED.editor.createEditor({
      id: 'jetforce-definition',
      mode: 'ace/mode/json',
      value: form.text('definition'),
      focus: false,
    });
    editor.getSession().on('change', changed);
    void lookup<object>(source(), 'schema').then((schema) => complete(editor, schema), ignore);
    void check();
  };
  form.watch(() => {
    if (form.text('provider') === 'custom' && !editor) open();
  });
  return {
    close() {
      clearTimeout(waiting);
      asked++;
      editor?.destroy();
      editor = undefined;
    },
  };
}

/** Without the schema it is an editor of JSON. */
function ignore(): void {}

/** Monaco knows JSON schemas; ace doesn't. */
function complete(editor: CodeEditor | undefined, schema: object): void {
  const json = window.monaco?.languages.json?.jsonDefaults;
  const model = editor?.getModel?.();
  if (!json || !model) return;
  const { schemas = [], ...options } = json.diagnosticsOptions;
  const others = schemas.filter(({ uri }) => uri !== SCHEMA);
  const own = { uri: SCHEMA, fileMatch: [model.uri.toString()], schema };
  json.setDiagnosticsOptions({ ...options, validate: true, schemas: [...others, own] });
}

function said({ line, path, message }: Problem): Record<string, string> {
  return { where: `${line} ${path}`.trim(), message };
}

function mark(editor: CodeEditor, problem: Problem | null): void {
  const { line = 1, message = '' } = problem ?? {};
  const model = editor.getModel?.();
  if (!window.monaco || !model) {
    const marks = problem ? [{ row: line - 1, column: 0, text: message, type: 'error' }] : [];
    return editor.getSession().setAnnotations?.(marks);
  }
  const place = { startLineNumber: line, endLineNumber: line, startColumn: 1, endColumn: 1_000 };
  window.monaco.editor.setModelMarkers(model, OWNER, problem ? [{ ...place, message, severity: 8 }] : []);
}
