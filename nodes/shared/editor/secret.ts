import { button } from './form';
import { text } from './text';

const STORED = '__PWRD__';

/**
 * Turns a hidden credential input into a field for a secret of several lines (a .creds file, a private key): to
 * paste into, or to load from a file. What is stored is never shown, only that there is something.
 */
export function secretText(hidden: JQuery): void {
  const area = $('<textarea autocomplete="off" spellcheck="false">').attr(
    'id',
    `${hidden.attr('id') ?? ''}-text`,
  );
  const file = $('<input type="file" hidden>');
  const load = button(text('secretLoad'), 'upload');
  const clear = button(text('secretClear'), 'times');
  hidden.after(
    $('<div class="jetforce-secret">').append(
      area,
      $('<div class="jetforce-secret-buttons">').append(load, clear, file),
    ),
  );

  const stored = () => hidden.val() === STORED;
  const show = () => {
    area
      .val(stored() ? '' : String(hidden.val() ?? ''))
      .attr('placeholder', stored() ? text('secretStored') : text('secretPaste'));
    clear.toggle(hidden.val() !== '');
  };
  const set = (value: string) => {
    hidden.val(value).trigger('change');
    show();
  };

  area.on('input', () => {
    hidden.val(String(area.val())).trigger('change');
    clear.toggle(area.val() !== '');
  });
  // The editor marks the input that nobody sees.
  new MutationObserver(() => area.toggleClass('input-error', hidden.hasClass('input-error'))).observe(
    hidden[0] as HTMLElement,
    { attributes: true, attributeFilter: ['class'] },
  );
  load.on('click', () => file.trigger('click'));
  clear.on('click', () => set(''));
  file.on('change', () => {
    const chosen = (file[0] as HTMLInputElement).files?.[0];
    void chosen?.text().then(set);
  });
  show();
}
