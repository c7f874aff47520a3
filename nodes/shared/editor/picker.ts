import { type Choice } from './lookup';
import { text } from './text';

const SHOWN = 200;

export interface PickerOptions {
  /**
   * Looks the choices up, each time the list opens. A text is shown in their place: why there are none yet. Rejects
   * with a sentence for the user.
   */
  choices: () => Promise<Choice[] | string>;
  /** Several values, separated by commas: the list completes the one the cursor is in. */
  several?: boolean;
}

/**
 * Adds a list to a text input: what is there now, looked up live, narrowed by what is typed. The input stays an
 * input: whatever is typed counts, also when the look-up fails or knows better.
 */
export function picker(input: JQuery, { choices, several = false }: PickerOptions): void {
  const id = `${input.attr('id') ?? ''}-list`;
  const list = $('<ul class="jetforce-list" role="listbox">').attr('id', id);
  const toggle = $(
    '<button type="button" class="jetforce-picker-toggle" tabindex="-1"><i class="fa fa-caret-down"></i></button>',
  );
  toggle.attr({ title: text('show'), 'aria-label': text('show') });
  input.wrap('<div class="jetforce-picker">').after(toggle);
  input.attr({
    role: 'combobox',
    'aria-expanded': 'false',
    'aria-controls': id,
    autocomplete: 'off',
    spellcheck: 'false',
  });

  let found: Choice[] = [];
  let filtering = false;
  let opening = 0;
  const isOpen = () => list.parent().length > 0;

  const open = async (filter: boolean) => {
    filtering = filter;
    const mine = ++opening;
    list
      .empty()
      .append(notice(text('lookingUp'), 'circle-o-notch fa-spin'))
      .appendTo(document.body);
    place(list, input);
    input.attr('aria-expanded', 'true');
    try {
      const answer = await choices();
      if (mine !== opening || !isOpen()) return;
      found = typeof answer === 'string' ? [] : answer;
      if (typeof answer === 'string') list.empty().append(notice(answer, 'info-circle'));
      else render();
    } catch (error) {
      if (mine !== opening || !isOpen()) return;
      list
        .empty()
        .append(
          notice(error instanceof Error ? error.message : String(error), 'exclamation-circle').addClass(
            'jetforce-error',
          ),
        );
    }
    place(list, input);
  };

  const close = () => {
    opening++;
    found = [];
    list.detach();
    input.attr('aria-expanded', 'false').removeAttr('aria-activedescendant');
  };

  const render = () => {
    const typed = filtering ? current().toLowerCase() : '';
    const matching = found.filter(({ value, label }) =>
      `${value} ${label ?? ''}`.toLowerCase().includes(typed),
    );
    const items = matching.slice(0, SHOWN).map((choice, i) => item(choice).attr('id', `${id}-${i}`));
    list.empty().append(items);
    if (found.length === 0) list.append(notice(text('nothingFound'), 'info-circle'));
    else if (matching.length === 0) list.append(notice(text('noMatch'), 'info-circle'));
    if (matching.length > SHOWN)
      list.append(notice(text('more', { count: matching.length - SHOWN }), 'ellipsis-h'));
  };

  const item = ({ value, label, needed }: Choice) => {
    const element = $('<li role="option" aria-selected="false">')
      .attr('data-value', value)
      .append($('<span>').text(value));
    if (needed) element.addClass('jetforce-needed').attr('title', text('fieldNeeded'));
    const more = unrepeated(label ?? '', value);
    if (more) element.append($('<span class="jetforce-list-label">').text(more));
    // mousedown: before the input loses the focus, which closes the list
    return element.on('mousedown', (event) => {
      event.preventDefault();
      choose(value);
    });
  };

  const caret = () => (input[0] as HTMLInputElement).selectionStart ?? Infinity;
  const parts = () => {
    const typed = String(input.val() ?? '');
    const from = several ? typed.lastIndexOf(',', caret() - 1) + 1 : 0;
    const to = several && typed.includes(',', from) ? typed.indexOf(',', from) : typed.length;
    return { before: typed.slice(0, from), part: typed.slice(from, to), after: typed.slice(to) };
  };
  const current = () => parts().part.trim();

  const choose = (value: string) => {
    const { before, after } = parts();
    input.val(`${before}${before ? ' ' : ''}${value}${after}`);
    close();
    input.trigger('change').trigger('focus');
  };

  const move = (step: number) => {
    const items = list.find('[role=option]');
    if (items.length === 0) return;
    const at = items.index(items.filter('[aria-selected=true]'));
    const next = items.eq((at + step + items.length) % items.length);
    items.attr('aria-selected', 'false');
    next.attr('aria-selected', 'true')[0]?.scrollIntoView({ block: 'nearest' });
    input.attr('aria-activedescendant', next.attr('id') ?? '');
  };

  input.on('keydown', (event) => {
    const selected = list.find('[aria-selected=true]');
    if (event.key === 'ArrowDown' || event.key === 'ArrowUp') {
      event.preventDefault();
      if (isOpen()) move(event.key === 'ArrowDown' ? 1 : -1);
      else void open(false);
    } else if (event.key === 'Escape' && isOpen()) {
      // only the list: the editor would close the form
      event.stopPropagation();
      close();
    } else if (event.key === 'Enter' && isOpen() && selected.length > 0) {
      event.preventDefault();
      event.stopPropagation();
      choose(selected.attr('data-value') ?? '');
    }
  });
  input.on('input', () => {
    filtering = true;
    if (!isOpen()) void open(true);
    else if (found.length > 0) render();
  });
  input.on('blur remove', close);
  toggle.on('mousedown', (event) => {
    event.preventDefault();
    if (isOpen()) return close();
    input.trigger('focus');
    void open(false);
  });
}

/** A label without its value where it repeats that: "crm.> (crm)", "Order (Order__c)". Names stay whole. */
function unrepeated(label: string, value: string): string {
  if (label.startsWith(`${value} (`)) return label.slice(value.length + 1);
  if (label.endsWith(` (${value})`)) return label.slice(0, -value.length - 3);
  return label === value ? '' : label;
}

function notice(sentence: string, icon: string): JQuery {
  return $('<li class="jetforce-list-notice">').append(
    $('<i>').addClass(`fa fa-${icon}`),
    ' ',
    $('<span>').text(sentence),
  );
}

/** Under the input, or above it where there is more room; on the page itself, so that no form clips it. */
function place(list: JQuery, input: JQuery): void {
  const box = (input[0] as HTMLElement).getBoundingClientRect();
  const below = window.innerHeight - box.bottom - 8;
  const above = box.top - 8;
  const height = Math.min(280, Math.max(below, above));
  const up = below < Math.min(height, (list[0] as HTMLElement).scrollHeight) && above > below;
  list.css({
    left: box.left,
    width: box.width,
    maxHeight: height,
    top: up ? '' : box.bottom + 2,
    bottom: up ? window.innerHeight - box.top + 2 : '',
  });
}
