import type { Form } from '../../shared/editor/form';
import { declarationOf } from './catalog';
import type { Declaration } from './rest/declaration';

/** The declaration of the API that a form shows; undefined for one that isn't declared, or not rightly (yet). */
export function parseDeclaration(form: Form): Declaration | undefined {
  if (form.text('provider') !== 'custom') return declarationOf(form.text('provider'));
  try {
    const found = JSON.parse(form.text('definition')) as Declaration | null;
    // What is wrong elsewhere the runtime says.
    return typeof found === 'object' && typeof found?.collections === 'object'
      ? { ...found, name: 'custom' }
      : undefined;
  } catch {
    return undefined;
  }
}
