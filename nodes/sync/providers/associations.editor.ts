import type { Form } from '../../shared/editor/form';
import { parseDeclaration } from './declared.editor';

/** Offers associations where the chosen API has any. */
export function showAssociations(form: Form): void {
  const collections = Object.values(parseDeclaration(form)?.collections ?? {});
  const kinds = collections.flatMap(({ associations }) => associations?.kinds ?? []);
  const input = form.input('associations').attr('placeholder', [...new Set(kinds)].join(', '));
  if (kinds.length === 0) input.closest('.form-row').prop('hidden', true);
}
