import type { ListedLetter } from '../../shared/flow/replay';
import type { DeadLetterState } from '../../shared/operations/states';
import { act, query } from './api.editor';
import type { Card } from './card.editor';
import { clock, say } from './text.editor';

interface Listed {
  letters: ListedLetter[];
  next?: number;
}

/** The dead letters of one node: unfolded by a button of its card. */
export class LetterList {
  private readonly fold = $('<button type="button" class="red-ui-button red-ui-button-small">');
  private readonly panel = $('<div class="jetforce-letters" role="group" hidden>');
  private readonly list = $('<ul>');
  private readonly more = $('<button type="button" class="red-ui-button red-ui-button-small">');
  private readonly progress = $('<p class="jetforce-progress">');
  private readonly all = $('<input type="checkbox">');
  private state: DeadLetterState | undefined;
  private known = '';
  private next: number | undefined;

  constructor(
    private readonly id: string,
    name: string,
    private readonly card: Card,
    mayWrite: boolean,
    private readonly changed: () => void,
  ) {
    this.fold.attr('aria-expanded', 'false').on('click', () => void this.toggle());
    this.panel.attr('aria-label', say('lettersOf', { name }));
    this.more.text(say('more')).on('click', () => void this.load(this.next));
    this.all.on('change', () => void this.boxes().prop('checked', this.all.prop('checked') === true));
    const bar = $('<div class="jetforce-card-buttons">').append(
      $('<label>').append(this.all, document.createTextNode(say('all'))),
    );
    if (mayWrite)
      bar.append(
        card.button(say('replay'), () => this.apply('replay', 'began')),
        card.button(say('discard'), () => this.apply('discard', 'discarded'), { sure: true }),
      );
    this.panel.append(this.progress, bar, this.list, this.more);
    card.buttons.append(this.fold);
    card.element.append(this.panel);
    this.mayWrite = mayWrite;
  }
  private readonly mayWrite: boolean;

  show(state: DeadLetterState | null): void {
    this.state = state ?? undefined;
    this.fold.prop('hidden', !state);
    if (!state) return;
    const { stored, replay } = state;
    this.fold.text(say('letters', { count: stored ?? '?' }));
    const { waiting, inFlow, succeeded, failed, postponed } = replay;
    const any = waiting + inFlow + succeeded + failed + postponed > 0;
    this.progress.text(any ? say('replaying', { ...replay }) : '');
    const known = JSON.stringify([stored, succeeded, failed]);
    if (known !== this.known && !this.panel.prop('hidden')) void this.load();
    this.known = known;
  }

  private async toggle(): Promise<void> {
    const open = this.panel.prop('hidden') === true;
    this.panel.prop('hidden', !open);
    this.fold.attr('aria-expanded', String(open));
    if (!open) return;
    await this.load();
    if (this.mayWrite) await act(this.id, 'looked').catch(() => undefined);
    this.changed();
  }

  private async load(from = 1): Promise<void> {
    const chosen = new Set(this.chosen());
    try {
      const { letters, next } = await query<Listed>(this.id, 'letters', `from=${from}`);
      if (from === 1) this.list.empty();
      this.list.append(letters.map((letter) => row(letter, chosen.has(letter.sequence))));
      this.next = next;
      this.more.prop('hidden', next === undefined);
      const { subject = '', stream } = this.state ?? {};
      if (from === 1 && letters.length === 0)
        this.list.append($('<li>').text(say(stream ? 'noLetters' : 'noStream', { subject })));
    } catch (error) {
      this.card.say((error as Error).message, true);
    }
  }

  private boxes(): JQuery {
    return this.list.find('input[type=checkbox]');
  }

  private chosen(): number[] {
    return this.boxes()
      .filter(':checked')
      .get()
      .map((box) => Number(box.getAttribute('value')));
  }

  private async apply(action: string, said: 'began' | 'discarded'): Promise<string> {
    const sequences = this.chosen();
    if (sequences.length === 0) throw new Error(say('choose'));
    const { count } = await act<{ count: number }>(this.id, action, { sequences });
    this.all.prop('checked', false);
    await this.load();
    this.changed();
    return say(said, { count });
  }
}

function row({ sequence, at, headers, payload }: ListedLetter, checked: boolean): JQuery {
  const box = $('<input type="checkbox">').val(sequence).prop('checked', checked);
  const what = say('letter', {
    subject: headers['Jetforce-Subject'] ?? headers['Jetforce-Topic'] ?? '',
    sequence: headers['Jetforce-Sequence'] ?? headers['Jetforce-Replay-Id'] ?? '',
    deliveries: headers['Jetforce-Deliveries'] ?? '',
  });
  const label = $('<label>').append(box, $('<b>').text(headers['Jetforce-Error'] ?? ''));
  const about = $('<div class="jetforce-about">').text(`${clock(Date.parse(at))} · ${what}`);
  const details = $('<details>').append($('<summary>').append(about), $('<pre>').text(payload));
  return $('<li>').append(label, details);
}
