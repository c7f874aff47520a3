import { globSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from '../support/user-dir';
import type { Editor } from './editor';

/** Set EDITOR_SHOTS to a folder to look at everything in every language and theme. */
export const shots = process.env['EDITOR_SHOTS'];

export async function shoot(editor: Editor, selector: string, name: string): Promise<void> {
  if (!shots) return;
  mkdirSync(shots, { recursive: true });
  await editor.page
    .locator(selector)
    .first()
    .screenshot({ path: join(shots, `${name}.png`) });
}

export const THEMES = ['dark', 'light'] as const;

/** As the editor's own menu does it. */
export const show = (theme: (typeof THEMES)[number]): string =>
  `document.documentElement.classList.toggle('nr-theme-dark', ${theme === 'dark'})`;

/** Keys of the catalogs look like "label.name"; on the page they mean that a text is missing. */
const groups = new Set(
  globSync('nodes/*/locales/en-US/*.json', { cwd: root }).flatMap((path) =>
    Object.keys(JSON.parse(readFileSync(join(root, path), 'utf8')) as object),
  ),
);
export const key = new RegExp(
  `(^|[\\s:"(])(${[...groups].join('|')})\\.[a-z_-]+[a-zA-Z_.-]*($|[\\s")])|@jetforce/|__\\w+__`,
);

/** The editor's own buttons and links are left out. Visible texts below `selector` whose contrast to what is behind them is below 4.5 (WCAG AA). */
export const faint = (selector: string): string => `(() => {
  const rgb = (color) => color.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => {
    const [x, y, z] = [r, g, b].map((c) => (c / 255 <= 0.03928 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const behind = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const color = rgb(getComputedStyle(at).backgroundColor);
      if (color.length === 3 || color[3] > 0.9) return color;
    }
    return [255, 255, 255];
  };
  const own = (element) => [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim() !== '');
  return [...document.querySelectorAll('${selector} *')]
    .filter((element) => own(element) && element.getClientRects().length > 0 && !element.closest('.jetforce-form button, .red-ui-typedInput-container, .red-ui-button, .red-ui-help a'))
    .filter((element) => {
      const [a, b] = [light(rgb(getComputedStyle(element).color)), light(behind(element))];
      return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05) < 4.5;
    })
    .map((element) => element.textContent.trim() + ' ' + getComputedStyle(element).color + ' on ' + behind(element));
})()`;
