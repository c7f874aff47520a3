import { isChange, type Change } from '../../../salesforce/pubsub/change-events';
import type { PubSub } from '../../../salesforce/pubsub/client';
import {
  Subscription,
  type ReceivedEvent,
  type SubscriptionState,
} from '../../../salesforce/pubsub/subscription';
import { now } from '../../../shared/async/clock';
import { Waker } from '../../../shared/async/waker';
import type { Changes } from '../../engine/provider';
import type { ChangeFeed } from './changes';
import { ReadPace, untilGathered } from './pace';
import { Poll, type PollPosition } from './poll';
import type { SourceRecord } from '../../engine/record';
import { readByIds } from './query';
import type { OrgReader } from './reader';
import type { SObject } from './sobject';
import { say } from '../../../shared/say';

export interface CdcPosition {
  /** Where polling goes on. Events are only told, not vouched for: they don't move it. */
  poll: PollPosition;
  /** When a pass of polling last ended, epoch ms by our clock. */
  polledAt?: number;
  /** Base64: every change behind this event comes by events. Missing as long as none has come. */
  replay?: string;
  /** Epoch ms: some of what is older than this doesn't come by events, and polling hasn't reached it yet. */
  pollTo?: number;
  /** Records that events told of and nobody could read, as permissions hid them: they are tried again. */
  unread?: string[];
}

export interface CdcSettings {
  pollInterval: number;
  lookback: number;
  log: (text: string) => void;
}

/** What an event, or the org's word that there was none, has told. */
interface Told {
  replay: string;
  /** Epoch ms by the org's clock. */
  at: number;
  /** Those that aren't read yet. */
  ids: string[];
  /** They were deleted. */
  deleted: boolean;
  /** It came without data. */
  gap: boolean;
  /** When it came, by now(). */
  came: number;
}

/** Records in events that wait to be read: one API call's worth. */
const MOST = 2_000;
const SOON = 1_000;
/**
 * Objects are taken off Change Data Capture and put back, some changes make no event, and nobody is told: so often it
 * is polled although events come.
 */
const SAFETY = 15 * 60_000;
/** Longest wait before the clock, which can be set, is looked at again. */
const LOOK = 60_000;
/** How long a job waits for the subscription, and a subscription that was there before it for something that proves it. */
const LISTENS = 3_000;
const PROVEN = 5 * 60_000;
const DELETIONS_WAIT = 5 * 60_000;
const UNREAD = { most: 2_000, first: 30_000 };
/** The org's clock is as its last answer told, whose way can have been long. */
const CLOCK = 10_000;

/**
 * Changes by Change Data Capture: events tell which records have changed, and these are read as they are now.
 * Wherever events can't be relied on the object is polled instead, from the last moment that they could be: until
 * the subscription stands and everything from before it is read, while it is broken, after events that say too
 * little, when the org does not know the position any more, and every 15 minutes in any case.
 */
export class CdcFeed implements ChangeFeed<CdcPosition> {
  private readonly poll: Poll;
  private readonly pace: ReadPace;
  private readonly waker = new Waker();
  private readonly stopListening: () => void;
  private subscription: Subscription | undefined;
  private state: SubscriptionState = { phase: 'connecting' };
  private told: Told[] = [];
  /** The subscription has a replay id to go on from. */
  private anchored = false;
  /** It was there before what is there was read, so that the first pass can wait until then, by now(), for a replay id. */
  private early: number | undefined;
  /** When a record was last told of, before those that wait, by now(). */
  private lastTold = -Infinity;
  /** Up to this moment of the org polling has to come; events tell all that is later. */
  private pollTo: number | undefined;
  /** How many times polling was asked for, and how many of them before the pass under way, or the last one, began. */
  private asked = 1;
  private answering = 0;
  private answered = 0;
  /** When the last pass ended, by now(); undefined where the next one is due. */
  private lastPass: number | undefined;
  /** When the unread records were tried last, by now(), and how often in vain. */
  private unread = { at: now(), tries: 0 };
  private ending: Promise<void> = Promise.resolve();

  constructor(
    private readonly reader: OrgReader,
    private readonly pubsub: PubSub,
    private readonly topic: string,
    private readonly settings: CdcSettings,
  ) {
    this.poll = new Poll(reader, settings.lookback);
    this.pace = new ReadPace(reader.session.budget);
    this.stopListening = pubsub.onChange(() => this.waker.wake());
  }

  get problem(): { code: string; message: string } | undefined {
    const error = this.state.phase === 'failing' ? this.state.error : this.pubsub.availability.current;
    if (!error) return undefined;
    const message = say`There are no change events on ${this.topic}, so it is polled: ${error.message}`;
    return { code: 'NO_EVENTS', message };
  }

  /** From here on it listens, so that the changes of a backfill are told, too. */
  start(): CdcPosition {
    this.subscription ??= this.subscribe(undefined);
    return { poll: this.poll.start() };
  }

  async startOnly(sobject: SObject, signal: AbortSignal): Promise<CdcPosition> {
    return { poll: await this.poll.startOnly(sobject, signal) };
  }

  async listening(signal: AbortSignal): Promise<void> {
    const end = now() + LISTENS;
    const waits = (): boolean =>
      this.subscription !== undefined &&
      this.state.phase === 'connecting' &&
      !this.problem &&
      !signal.aborted;
    while (waits() && now() < end) await this.waker.wait(end - now(), signal);
    if (this.subscription && this.state.phase === 'subscribed') this.early = now() + PROVEN;
  }

  async ready(position: CdcPosition, signal: AbortSignal): Promise<void> {
    if (!this.subscription) {
      this.pollTo = position.pollTo;
      this.subscription = this.subscribe(position.replay);
    }
    while (!signal.aborted) {
      const wait = Math.min(this.untilPoll(position), this.untilUnread(position), this.untilRead());
      if (wait <= 0) return;
      await this.waker.wait(Math.min(wait, LOOK), signal);
    }
  }

  changes(position: CdcPosition, sobject: SObject, signal: AbortSignal): Promise<Changes> {
    return this.untilPoll(position) <= 0
      ? this.pass(position, sobject, signal)
      : this.read(position, sobject, signal);
  }

  async close(): Promise<void> {
    this.stopListening();
    this.unsubscribe();
    await this.ending;
  }

  /** Milliseconds until the next pass is due; rarely where events are to be relied on. */
  private untilPoll({ poll, polledAt = 0 }: CdcPosition): number {
    const to = this.problem ? Infinity : this.pollTo;
    if (to === undefined) return poll.pass ? 0 : Math.min(SAFETY, polledAt + SAFETY - Date.now());
    if (this.lastPass === undefined) return this.untilProven();
    const soon = to !== Infinity && this.answered < this.asked;
    return this.lastPass + (soon ? SOON : this.settings.pollInterval) - now();
  }

  /** The first pass, where all is told that what was read doesn't show, waits for the event that proves that it was. */
  private untilProven(): number {
    return this.early === undefined || this.anchored || this.problem ? 0 : this.early - now();
  }

  private untilRead(): number {
    const { told, lastTold } = this;
    const first = told.find(({ ids }) => ids.length > 0);
    const last = told.findLast(({ ids }) => ids.length > 0);
    if (!first || !last) return told.length > 0 ? 0 : Infinity;
    const gathered =
      this.room() > 0 ? untilGathered({ before: lastTold, first: first.came, last: last.came }) : 0;
    return Math.max(gathered, this.pace.wait);
  }

  private room(): number {
    return MOST - this.told.reduce((sum, { ids }) => sum + Math.max(1, ids.length), 0);
  }

  /** Ever more rarely, up to the safety poll's pace: most of them are hidden from this user for good. */
  private untilUnread({ unread }: CdcPosition): number {
    if (!unread?.length) return Infinity;
    return this.unread.at + Math.min(SAFETY, UNREAD.first * 2 ** this.unread.tries) - now();
  }

  private async pass(position: CdcPosition, sobject: SObject, signal: AbortSignal): Promise<Changes> {
    if (!position.poll.pass) this.answering = this.asked;
    const told = [...this.told];
    const deletions = this.deletionsFrom(position);
    const changes = await this.poll.changes(position.poll, sobject, signal, deletions);
    this.seen(told, changes.records);
    const poll = changes.position as PollPosition;
    this.lastPass = changes.more ? undefined : now();
    if (!changes.more) this.answered = this.answering;
    const to = this.pollTo ?? Infinity;
    // A pass may have been too early for what it was asked for while it was under way.
    const reached = this.answered === this.asked && (poll.deletedSince >= to || !sobject.replicateable);
    if (!changes.more && reached && to !== Infinity) this.pollTo = undefined;
    const more = changes.more || this.told.length > 0;
    const polledAt = changes.more ? position.polledAt : Date.now();
    return { ...changes, position: this.position({ ...position, poll, polledAt }), more };
  }

  /** Up to where the log of deletions is needed, as it would be asked twice before; not for long, though. */
  private deletionsFrom({ poll }: CdcPosition): number | undefined {
    const { pollTo = Infinity } = this;
    const waits = !this.problem && pollTo !== Infinity && pollTo - poll.deletedSince < DELETIONS_WAIT;
    return waits ? pollTo : undefined;
  }

  /** What an event told of before it was read so needn't be read again. */
  private seen(told: readonly Told[], records: readonly SourceRecord[]): void {
    const deleted = new Map(records.map((record) => [record.id, record.deleted ?? false]));
    for (const one of told) {
      const ids = one.ids.filter((id) => deleted.get(id) !== one.deleted);
      if (ids.length < one.ids.length) this.lastTold = one.came;
      one.ids = ids;
    }
  }

  /** What events have told, up to one API call's worth of records, or less where they are wide. */
  private async read(position: CdcPosition, sobject: SObject, signal: AbortSignal): Promise<Changes> {
    const { told } = this;
    const taken = upTo(told, sobject.width.fit(MOST));
    const deleted = new Map(taken.flatMap((one) => one.ids.map((id) => [id, one.deleted] as const)));
    const again = this.untilUnread(position) <= 0 ? (position.unread ?? []) : [];
    const ids = [...new Set([...deleted.keys(), ...again])];
    const gaps = taken.filter(({ gap }) => gap).length;
    if (gaps > 0)
      this.settings.log(say`${gaps} events of ${this.topic} came without data; their records are read again`);
    if (ids.length > 0) this.pace.called();
    const found = ids.length > 0 ? await readByIds(this.reader, sobject, ids, signal) : [];
    // Unless the subscription was begun anew in the meantime.
    if (this.told === told) told.splice(0, taken.length);
    this.lastTold = taken.findLast(({ ids }) => ids.length > 0)?.came ?? this.lastTold;
    this.subscription?.more();
    const unread = found.filter(({ id, unproven }) => unproven && !deleted.get(id)).map(({ id }) => id);
    if (again.length > 0) this.unread = { at: now(), tries: this.unread.tries + 1 };
    const last = taken.at(-1);
    const more = this.told.length > 0;
    return {
      // That it was deleted is what the event tells.
      records: found.filter(({ id }) => !unread.includes(id)).map(({ unproven: _, ...record }) => record),
      position: this.position({
        ...position,
        replay: last?.replay ?? position.replay,
        unread: this.stillUnread(position.unread ?? [], ids, unread),
      }),
      more,
      asOf: more && last ? last.at : this.reader.now(),
    };
  }

  private stillUnread(before: string[], read: string[], unread: string[]): string[] | undefined {
    const known = new Set(read);
    const all = [...before.filter((id) => !known.has(id)), ...unread].slice(-UNREAD.most);
    if (before.length === 0) this.unread = { at: now(), tries: 0 };
    if (all.length > 0 && before.length === 0)
      this.settings.log(
        say`Events of ${this.topic} tell of records that this user can't read; they are tried again from time to time, as permissions may change`,
      );
    return all.length > 0 ? all : undefined;
  }

  private position(position: CdcPosition): CdcPosition {
    // Without an end (and so without a replay id) the next life polls anyway.
    return { ...position, pollTo: this.pollTo === Infinity ? undefined : this.pollTo };
  }

  private subscribe(replay: string | undefined): Subscription {
    this.anchored = replay !== undefined;
    this.early = undefined;
    this.state = { phase: 'connecting' };
    if (!this.anchored) this.pollTo = Infinity;
    this.told = [];
    const subscription: Subscription = new Subscription(this.pubsub, this.topic, {
      event: (event) => this.arrived(event),
      idle: (id) =>
        this.tell({ replay: id, at: this.reader.now(), ids: [], deleted: false, gap: false, came: now() }),
      room: () => this.room(),
      positionLost: (error) => {
        this.settings.log(say`${error.message}; what has changed since is polled`);
        this.unsubscribe();
        this.subscription = this.subscribe(undefined);
      },
      state: (state) => this.enter(state),
      // What a subscription without a position misses is polled; everything else is told by `problem`.
      log: () => undefined,
    });
    subscription.start(replay === undefined ? 'latest' : { replayId: replay });
    return subscription;
  }

  private unsubscribe(): void {
    const stopped = this.subscription?.stop();
    this.subscription = undefined;
    this.ending = Promise.all([this.ending, stopped]).then(() => undefined);
  }

  private enter(state: SubscriptionState): void {
    this.state = state;
    // From here on changes come as events; those from before have to be read.
    if (state.phase === 'subscribed' && !this.anchored) this.pollToNow();
    // It isn't the one that was there before.
    this.early = undefined;
    this.waker.wake();
  }

  private arrived({ replayId, payload, error }: ReceivedEvent): void {
    if (!payload || !isChange(payload))
      return this.doubt(replayId, error?.message ?? say`it is no change event`);
    const { recordIds, changeType, wildcard, gap, commitTimestamp } = (payload as Change).ChangeEventHeader;
    if (wildcard || changeType === 'GAP_OVERFLOW')
      return this.doubt(replayId, say`it is a ${changeType} of ${recordIds.join(', ')}`);
    const deleted = changeType === 'DELETE' || changeType === 'GAP_DELETE';
    this.tell({ replay: replayId, at: Number(commitTimestamp), ids: recordIds, deleted, gap, came: now() });
  }

  /** An event that doesn't say which records have changed: asked for by time they are found. */
  private doubt(replay: string, why: string): void {
    this.settings.log(
      say`An event of ${this.topic} doesn't tell which records have changed (${why}); what has changed is polled`,
    );
    this.pollToNow();
    this.lastPass = undefined;
    this.tell({ replay, at: this.reader.now(), ids: [], deleted: false, gap: false, came: now() });
  }

  private pollToNow(): void {
    this.pollTo = this.reader.now() + CLOCK;
    this.asked++;
  }

  private tell(told: Told): void {
    // The first one proves that the subscription stood by then.
    if (!this.anchored) this.pollToNow();
    this.anchored = true;
    this.told.push(told);
    this.waker.wake();
  }
}

/** As many from the beginning as tell of so many records, one at least. */
function upTo(told: readonly Told[], records: number): Told[] {
  let left = records;
  const beyond = told.findIndex(({ ids }, i) => (left -= ids.length) < 0 && i > 0);
  return beyond < 0 ? [...told] : told.slice(0, beyond);
}

/** "Contact" → "/data/ContactChangeEvent", "Order__c" → "/data/Order__ChangeEvent". */
export function changeTopic(sobject: string): string {
  return `/data/${sobject.replace(/__c$/, '__')}ChangeEvent`;
}
