/** True, or what is wrong. Never quotes the value: the editor shows these sentences as HTML. */
export type Validity = true | string;

/** The value of a property: what its form shows while it is open, else what is saved. */
export function currentValue(node: EditorNode, property: string): unknown {
  const open = RED.editor.getEditStack().some((edited) => edited.id === node.id);
  const input = open ? $(`#node-input-${property}, #node-config-input-${property}`) : $();
  if (input.length === 0) return node[property] ?? node.credentials?.[property];
  return input.attr('type') === 'checkbox' ? input.prop('checked') : input.val();
}
