import type { UnknownState } from '../../shared/operations/registry';
import type { States } from '../../shared/operations/states';
import { runtimeSpeaks } from '../../shared/editor/error-text';
import { act, read } from './api.editor';
import { Card, type Face } from './card.editor';
import { collectionFace, durableFace, orgFace, serverFace, topicFace, writerFace } from './faces.editor';
import { LetterList } from './letters.editor';
import { clock, say, type Key } from './text.editor';

type Found = States & { at: string; language: string; unknown: UnknownState[] };
/** Shows something of one kind; made once for each key. */
type Show<T> = (state: T) => void;

/** Milliseconds between two looks, while the tab is to be seen. */
const EVERY = 2_000;

const SECTIONS = ['servers', 'orgs', 'durables', 'topics', 'writers', 'syncs', 'unknown'] as const;

/** The operations tab: looks again and again, and keeps its elements, so that the focus stays where it is. */
export class OperationsTab {
  readonly content = $('<div class="jetforce-operations">');
  private readonly notice = $('<p class="jetforce-notice" role="status">');
  private readonly lists = new Map<string, JQuery>();
  private readonly shown = new Map<string, { element: JQuery; show: Show<never> }>();
  private readonly only = $('<span>');
  private latest: Found | undefined;
  private looking = false;

  constructor(private readonly mayWrite: boolean) {
    const copy = $('<button type="button" class="red-ui-button red-ui-button-small">').text(say('copy'));
    copy.on('click', () => void this.copy());
    this.content.append($('<div class="jetforce-card-buttons">').append(copy, this.filter()), this.notice);
    for (const section of SECTIONS) {
      const list = $('<div class="jetforce-section-list">')
        .attr('data-section', section)
        .prop('hidden', true);
      list.append($('<h3>').text(say(section)));
      this.lists.set(section, list);
      this.content.append(list);
    }
    window.setInterval(() => this.isSeen() && void this.look(), EVERY);
  }

  /** A box to tick, which leaves only those cards that are red or yellow. */
  private filter(): JQuery {
    const box = $('<input type="checkbox">');
    box.on('change', () => this.content.toggleClass('jetforce-only', box.prop('checked') === true));
    return $('<label>').append(box, this.only);
  }

  /** Looks now. */
  readonly look = async (): Promise<void> => {
    if (this.looking) return;
    this.looking = true;
    try {
      this.latest = await read<Found>('state');
      runtimeSpeaks(this.latest.language);
      this.show(this.latest);
    } catch (error) {
      const { status } = error as { status?: number };
      const time = this.latest ? clock(Date.parse(this.latest.at)) : '–';
      this.notice.text(status === 401 || status === 403 ? say('denied') : say('away', { time }));
    } finally {
      this.looking = false;
    }
  };

  private isSeen(): boolean {
    return this.content.is(':visible') && document.visibilityState === 'visible';
  }

  private show(found: Found): void {
    const seen = new Set<string>();
    const part = <T>(
      section: (typeof SECTIONS)[number],
      key: string,
      state: T,
      make: () => [JQuery, Show<T>],
    ): void => {
      const whole = `${section} ${key}`;
      seen.add(whole);
      let known = this.shown.get(whole);
      if (!known) {
        const [element, show] = make();
        known = { element, show: show };
        this.shown.set(whole, known);
        this.lists.get(section)?.append(element);
      }
      (known.show as Show<T>)(state);
    };
    for (const state of found.servers) part('servers', state.id, state, () => plain(state.id, serverFace));
    for (const state of found.orgs) part('orgs', state.id, state, () => plain(state.id, orgFace));
    for (const state of found.durables) part('durables', state.id, state, () => this.durable(state));
    for (const state of found.topics) part('topics', state.id, state, () => this.topic(state));
    // One that is well would only make the tab longer.
    for (const state of found.writers)
      if (state.held && state.messages > 0)
        part('writers', state.id, state, () => plain(state.id, writerFace));
    for (const { id, name, stream, collections } of found.syncs)
      for (const state of collections)
        part('syncs', `${id} ${state.syncId} ${state.collection}`, state, () =>
          this.collection(id, name === id ? stream : name, state),
        );
    for (const state of found.unknown) part('unknown', state.id, state, () => plain(state.id, unknownFace));
    for (const [key, { element }] of this.shown)
      if (!seen.has(key)) {
        element.remove();
        this.shown.delete(key);
      }
    for (const [section, list] of this.lists)
      list.prop('hidden', ![...seen].some((key) => key.startsWith(`${section} `)));
    const count = this.content.find(
      '.jetforce-light[data-light=red], .jetforce-light[data-light=yellow]',
    ).length;
    this.only.text(say('only', { count, all: seen.size }));
    this.notice.text(seen.size === 0 ? say('nothing') : '');
  }

  private durable(first: States['durables'][number]): [JQuery, Show<States['durables'][number]>] {
    const { id, name } = first;
    const card = new Card(id);
    const told = async (action: 'pause' | 'resume'): Promise<string> => {
      const { where } = await act<{ where: string }>(id, action);
      await this.look();
      if (action === 'resume') return say('done');
      return say(where === 'server' ? 'pausedServer' : 'pausedHere');
    };
    const pause = card.button(say('pause'), () => told('pause'));
    const resume = card.button(say('resume'), () => told('resume'));
    const seen = this.seen(id, card);
    if (this.mayWrite) card.buttons.append(pause, resume, seen);
    const letters = new LetterList(id, name, card, this.mayWrite, () => void this.look());
    return [
      card.element,
      (state) => {
        card.show(durableFace(state));
        pause.prop('hidden', state.paused);
        resume.prop('hidden', !state.paused);
        seen.prop('hidden', state.givenUp === 0);
        letters.show(state.deadLetter);
      },
    ];
  }

  /** What was given up counts until somebody says this, or looks at the dead letters. */
  private seen(id: string, card: Card): JQuery {
    return card.button(say('seen'), async () => {
      await act(id, 'looked');
      await this.look();
      return say('done');
    });
  }

  private topic({ id, name }: States['topics'][number]): [JQuery, Show<States['topics'][number]>] {
    const card = new Card(id);
    const seen = this.seen(id, card);
    if (this.mayWrite) card.buttons.append(seen);
    const letters = new LetterList(id, name, card, this.mayWrite, () => void this.look());
    return [
      card.element,
      (state) => {
        card.show(topicFace(state));
        seen.prop('hidden', state.givenUp === 0);
        letters.show(state.deadLetter);
      },
    ];
  }

  private collection(
    id: string,
    name: string,
    first: States['syncs'][number]['collections'][number],
  ): [JQuery, Show<States['syncs'][number]['collections'][number]>] {
    const { collection } = first;
    const card = new Card(id, `${id} ${collection}`);
    const bar = $('<div class="jetforce-bar" role="progressbar" aria-valuemin="0" aria-valuemax="100">');
    const done = $('<div>').appendTo(bar);
    bar.attr('aria-label', collection).insertBefore(card.buttons);
    const order = (key: Key, command: string, sure = false): JQuery =>
      card.button(
        say(key),
        async () => {
          await act(id, command, { collection });
          await this.look();
          return say(sure ? 'ordered' : 'done');
        },
        { sure },
      );
    const [pause, resume] = [order('pause', 'stop'), order('resume', 'start')];
    if (this.mayWrite)
      card.buttons.append(
        pause,
        resume,
        order('resync', 'resync', true),
        order('compare', 'reconcile', true),
      );
    return [
      card.element,
      (state) => {
        card.show({ ...collectionFace(state), title: `${collection} → ${name}` });
        const percent = state.total ? Math.min(100, Math.floor((100 * state.done) / state.total)) : 0;
        bar.prop('hidden', state.phase !== 'backfill' || state.total === null);
        bar.attr('aria-valuenow', percent);
        done.css('width', `${percent}%`);
        pause.prop('hidden', state.phase === 'stopped');
        resume.prop('hidden', state.phase !== 'stopped');
      },
    ];
  }

  /** Everything that is shown, as text. What is known of secrets was struck where it was said. */
  private async copy(): Promise<void> {
    await this.look();
    const text = JSON.stringify(this.latest, undefined, 2);
    const field = $('<textarea readonly class="jetforce-copy">').val(text).appendTo(this.content);
    field.trigger('select');
    // The new way is there over HTTPS only.
    const copied = document.execCommand('copy');
    field.remove();
    if (!copied) await navigator.clipboard?.writeText(text);
    this.notice.text(say('copied'));
  }
}

function plain<T>(id: string, face: (state: T) => Face): [JQuery, Show<T>] {
  const card = new Card(id);
  return [card.element, (state) => card.show(face(state))];
}

function unknownFace({ name, problem }: UnknownState): Face {
  return { title: name, light: 'grey', state: '', facts: [], notes: [problem.message] };
}
