import { FlowError } from '../../../shared/errors';
import type { Found } from './client';
import type { Partial } from './declaration';
import { at, matches } from './path';
import { saying } from './judge';
import { say } from '../../../shared/say';

/**
 * An answer about many can be one, and say of some that they failed: then nothing is known of those, which isn't the
 * same as that there is nothing. Throws API_REFUSED, to be tried again.
 */
export function refusePartial(answer: Found, partial: Partial | undefined): void {
  if (!partial) return;
  const errors = at(answer.body, partial.errors);
  const all = Array.isArray(errors) ? (errors as unknown[]) : [];
  const failed = all.find((error) => !matches(error, partial.nothing));
  if (failed === undefined) return;
  const why = saying({ ...answer, body: failed, text: JSON.stringify(failed) });
  throw new FlowError('API_REFUSED', say`${answer.answered}, but not for all: ${why}`);
}
