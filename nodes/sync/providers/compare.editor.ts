import type { Form } from '../../shared/editor/form';
import { text } from '../../shared/editor/text';
import { readCollections } from './collections.editor';
import { parseDeclaration } from './declared.editor';
import { findCollection, hasCollection } from './rest/find';

/** Says in the empty interval how often the chosen collections are compared by themselves. */
export function showComparing(form: Form): void {
  form.input('reconcile').attr('placeholder', byItself(form));
}

function byItself(form: Form): string {
  if (form.text('provider') === 'salesforce') return text('never');
  const declaration = parseDeclaration(form);
  if (!declaration) return '';
  const known = readCollections(form).filter((name) => hasCollection(declaration, name));
  if (known.length === 0) return '';
  const every = new Set(known.flatMap((name) => findCollection(declaration, name).of.compare?.every ?? []));
  return every.size === 0 ? text('never') : text('byItself', { every: [...every].join(', ') });
}
