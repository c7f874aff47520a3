import { codeOf, messageOf } from './errors';
import type english from './editor/texts/en-US.json';

type CheckText = Extract<keyof typeof english, `check_${string}`>;

/**
 * One part of what Test connection has tried; the forms have the text for it. `fair`: it doesn't work, but not
 * everything needs it.
 */
export interface Check {
  state: 'good' | 'fair' | 'bad';
  text: CheckText;
  values: Record<string, string | number>;
  error?: { code: string; message: string };
}

export function good(text: CheckText, values: Check['values'] = {}): Check {
  return { state: 'good', text, values };
}

/** What didn't work, and the error that says why. */
export function failed(
  state: 'fair' | 'bad',
  text: CheckText,
  error: unknown,
  values: Check['values'] = {},
): Check {
  return { state, text, values, error: { code: codeOf(error), message: messageOf(error) } };
}
