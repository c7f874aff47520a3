/// <reference types="jquery" />

/**
 * The part of Node-RED's editor API that the forms use, checked against the editor of 4.1 and 5.0.
 * Source: https://nodered.org/docs/api/ui/ and @node-red/editor-client.
 */

declare const RED: {
  _(key: string, values?: Record<string, unknown>): string;
  i18n: { lang(): string };
  nodes: {
    registerType<P extends object>(
      type: string,
      definition: EditorNodeDefinition<P> & ThisType<EditorNode & P>,
    ): void;
    /** Any node or config node by id, as it stands in the editor: also what isn't deployed yet. */
    node(id: string): EditorNode | null | undefined;
    /** Every node of the flows, until the callback gives false. */
    eachNode(callback: (node: EditorNode) => boolean): void;
    filterLinks(filter: object): { source: EditorNode; sourcePort: number; target: EditorNode }[];
    /** `in` and `out` are the ports of its inside: they have a `direction`, their number `i`, and wires as nodes have. */
    subflow(id: string): { in: EditorNode[]; out: EditorNode[] } | undefined;
    /** Undefined where `id` is that of a subflow. */
    workspace(id: string): { disabled?: boolean } | undefined;
    /** Every config node, until the callback gives false. */
    eachConfig(callback: (node: EditorNode) => boolean): void;
  };
  /** nodes:add: a node was loaded, imported or dragged in. */
  events: {
    on(event: 'nodes:add' | 'nodes:change' | 'nodes:remove', listener: (node: EditorNode) => void): void;
    on(event: 'registry:node-type-added', listener: (type: string) => void): void;
  };
  editor: {
    getEditStack(): { id: string }[];
    editConfig(property: string, type: string, id: string): void;
    /** Sets `valid` and `validationErrors` of the node anew. */
    validateNode(node: EditorNode): boolean;
    /** Monaco or ace, as the settings of Node-RED say. */
    createEditor(options: { id: string; mode: string; value: string; focus?: boolean }): CodeEditor;
  };
  sidebar: {
    addTab(tab: {
      id: string;
      name: string;
      label: string;
      iconClass: string;
      content: JQuery;
      enableOnEdit?: boolean;
      onchange?(): void;
    }): void;
    show(id: string): void;
  };
  /** Of Node-RED 4 and 5; without users everybody may everything. */
  user: { hasPermission(permission: string): boolean };
  actions: { add(name: string, action: () => void, options?: { label: string }): void };
  workspaces: { active(): string };
  view: {
    redraw(updateActive?: boolean): void;
    /** Scrolls the canvas to the node, on whichever tab it is, and lets it flash. */
    reveal(id: string): void;
  };
};

interface EditorNode {
  id: string;
  type: string;
  name?: string;
  /** Translates a key of the node's own catalog. */
  _(key: string, values?: Record<string, unknown>): string;
  /** Of a config node: those that refer to it. */
  users?: EditorNode[];
  /** What the editor knows of the secrets: `password` when just typed, `has_password` when the runtime holds one. */
  credentials?: Record<string, unknown>;
  _def: {
    category: string;
    defaults: Record<string, { value: unknown; type?: string; required?: boolean }>;
    credentials?: Record<string, EditorCredential>;
    streamDemand?(this: EditorNode): object | undefined;
  };
  [property: string]: unknown;
}

/** What Monaco, as Node-RED wraps it, and ace have in common; a model only Monaco has. */
interface CodeEditor {
  getValue(): string;
  getSession(): {
    on(event: 'change', listener: () => void): void;
    setAnnotations?(marks: { row: number; column: number; text: string; type: string }[]): void;
  };
  getModel?(): { uri: { toString(): string } } | null;
  destroy(): void;
}

interface MonacoSchema {
  uri: string;
  fileMatch?: string[];
  schema?: object;
}

interface Window {
  monaco?: {
    editor: { setModelMarkers(model: object, owner: string, markers: object[]): void };
    languages: {
      json?: {
        jsonDefaults: {
          diagnosticsOptions: { validate?: boolean; schemas?: MonacoSchema[] };
          setDiagnosticsOptions(options: { validate?: boolean; schemas?: MonacoSchema[] }): void;
        };
      };
    };
  };
}

interface EditorProperty<T> {
  value: T;
  required?: boolean;
  /** The type of the config node this property refers to. */
  type?: string;
  label?: string;
  /** True, or the sentence that says what is wrong. Must take two parameters, else the sentence is dropped. */
  validate?(this: EditorNode, value: unknown, opt?: { label?: string }): boolean | string | string[];
}

interface EditorCredential {
  type: 'text' | 'password';
  label?: string;
  validate?(this: EditorNode, value: unknown, opt?: object): boolean | string;
}

interface EditorNodeDefinition<P extends object> {
  category: string;
  defaults: { [K in keyof P]: EditorProperty<P[K]> };
  credentials?: Record<string, EditorCredential>;
  color?: string;
  icon?: string;
  inputs?: 0 | 1;
  outputs?: number;
  align?: 'left' | 'right';
  paletteLabel?: string | (() => string);
  label?(): string;
  labelStyle?(): string;
  inputLabels?: string | string[] | (() => string);
  outputLabels?: string | string[] | ((index: number) => string);
  /** Ours: the stream that the node provisions, for the forms of others (jetstream/streams/stream-rivals.editor.ts). */
  streamDemand?(): object | undefined;
  oneditprepare?(): void;
  oneditsave?(): void;
  oneditcancel?(): void;
  oneditresize?(size: { width: number; height: number }): void;
}

interface TypedInputType {
  value: string;
  label?: string;
  icon?: string;
  hasValue?: boolean;
  validate?(value: string, options?: object): boolean | string;
}

interface EditableListOptions<T> {
  addItem(row: JQuery, index: number, data: T): void;
  header?: JQuery;
  height?: number | 'auto';
  sortable?: boolean;
  removable?: boolean;
  addButton?: boolean | string;
  removeItem?(data: T): void;
  sortItems?(items: T[]): void;
}

interface JQuery {
  typedInput(options: { types: (string | TypedInputType)[]; default?: string }): this;
  typedInput(method: 'type' | 'value'): string;
  typedInput(method: 'type' | 'value' | 'width', value: string): this;
  typedInput(method: 'validate'): boolean;
  editableList<T>(options: EditableListOptions<T>): this;
  editableList(method: 'addItem', data: object): this;
  editableList(method: 'items'): JQuery;
  editableList(method: 'empty'): this;
}
