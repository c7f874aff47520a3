import type { Form } from '../../shared/editor/form';
import { listOf } from '../../shared/settings/formats';
import { parseDuration } from '../../shared/duration';
import { parseDeclaration } from './declared.editor';
import { readCollections } from './collections.editor';
import { costOf } from './rest/cost';

/** Says below the interval what asking so often costs; nothing where that isn't known. */
export function showCost(node: EditorNode, form: Form): void {
  const sentences = costInWords(node, form);
  $('#jetforce-cost')
    .text(sentences.join(' '))
    .prop('hidden', sentences.length === 0);
}

function costInWords(node: EditorNode, form: Form): string[] {
  const declaration = parseDeclaration(form);
  if (!declaration) return [];
  try {
    const interval = parseDuration(form.text('pollInterval'));
    if (interval <= 0) return [];
    const kinds = listOf(form.text('associations'));
    const { calls, free, whole, associated, parts } = costOf(
      declaration,
      readCollections(form),
      interval,
      kinds,
    );
    if (calls === 0) return [];
    return [
      node._('cost.calls', { calls: calls.toLocaleString(RED.i18n.lang()) }),
      ...(free ? [node._('cost.free')] : []),
      ...whole.map(({ name, size }) => node._('cost.whole', { name, size })),
      ...associated.map(({ name, size }) => node._('cost.associated', { name, size })),
      ...parts.map((name) => node._('cost.parts', { name })),
    ];
  } catch {
    // No duration, or a declaration that isn't one yet.
    return [];
  }
}
