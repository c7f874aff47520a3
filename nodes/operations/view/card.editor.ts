import { capital, say } from './text.editor';

export type Light = 'green' | 'yellow' | 'red' | 'grey';
export type Fact = [label: string, value: string];

/** What a card shows; made anew each time, while the elements stay, and the focus with them. */
export interface Face {
  title: string;
  light: Light;
  /** In words what the light says. */
  state: string;
  facts: Fact[];
  /** Why something waits or fails. */
  notes: string[];
}

/** A part of the tab about one node, or one of its collections. */
export class Card {
  readonly element = $('<section class="jetforce-card">');
  readonly buttons = $('<div class="jetforce-card-buttons">');
  private readonly light = $('<span class="jetforce-light" aria-hidden="true">');
  private readonly title = $('<button type="button" class="jetforce-title">');
  private readonly state = $('<span class="jetforce-state">');
  private readonly facts = $('<dl>');
  private readonly notes = $('<div class="jetforce-notes">');
  private readonly said = $('<div class="jetforce-said" role="status">');
  private shown = '';

  /** `id`: of the node, which the title brings into sight. */
  constructor(id: string, key = id) {
    this.title.attr('title', say('reveal')).on('click', () => reveal(id));
    const heading = $('<div class="jetforce-card-head">');
    heading.append(this.light, $('<h4>').append(this.title), this.state);
    this.element.attr('data-key', key);
    this.element.append(heading, this.notes, this.facts, this.buttons, this.said);
  }

  show(face: Face): void {
    const text = JSON.stringify(face);
    if (text === this.shown) return;
    this.shown = text;
    this.light.attr('data-light', face.light);
    this.title.text(face.title);
    this.state.text(capital(face.state));
    this.notes.empty().append(face.notes.map((note) => $('<p>').text(note)));
    this.facts.empty();
    for (const [label, value] of face.facts)
      this.facts.append(
        $('<div>')
          .toggleClass('jetforce-wide', value.length > WIDE)
          .append($('<dt>').text(label), $('<dd>').text(value)),
      );
  }

  /** How an action ended. */
  say(text: string, bad = false): void {
    this.said.text(text).toggleClass('jetforce-bad', bad);
  }

  /** A button whose work is said here, and which is dead meanwhile. `sure`: it has to be pressed twice. */
  button(label: string, work: () => Promise<string>, { sure = false } = {}): JQuery {
    const button = $('<button type="button" class="red-ui-button red-ui-button-small">').text(label);
    let asked: number | undefined;
    const forget = (): void => {
      window.clearTimeout(asked);
      asked = undefined;
      button.text(label).removeClass('jetforce-sure');
    };
    button.on('click', () => {
      if (sure && asked === undefined) {
        button.text(say('sure', { what: label })).addClass('jetforce-sure');
        asked = window.setTimeout(forget, SURE);
        return;
      }
      forget();
      button.attr('aria-disabled', 'true').prop('disabled', true);
      work()
        .then(
          (text) => this.say(text),
          (error: Error) => this.say(error.message, true),
        )
        .finally(() => button.removeAttr('aria-disabled').prop('disabled', false));
    });
    return button;
  }
}

/** Characters from which on a fact has a line of its own. */
const WIDE = 16;

function reveal(id: string): void {
  const node = RED.nodes.node(id);
  if (node?._def.category === 'config') RED.editor.editConfig('', node.type, id);
  else RED.view.reveal(id);
}

/** Milliseconds in which a button that asks twice may be pressed again. */
const SURE = 8_000;
