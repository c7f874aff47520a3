/** Owners, repositories, and what is in them. Times are epoch ms of whole seconds. */
import { createHash } from 'node:crypto';
import { type Clock } from '../frame/clock';
import { ControlError, type Row } from '../frame/simulation';
import { SortedList } from '../frame/sorted-list';

export interface Issue {
  readonly id: number;
  readonly number: number;
  readonly created: number;
  readonly updated: number;
  /** Epoch ms at which it last changed, by the clock: what search is behind of. */
  readonly changedAt: number;
  readonly isPull: boolean;
  readonly fields: Row;
}

export interface Commit {
  readonly sha: string;
  readonly parents: readonly string[];
  readonly committed: number;
  readonly fields: Row;
}

export interface Release {
  readonly id: number;
  readonly created: number;
  readonly fields: Row;
}

/** Issues, or those that are pull requests, in the orders that lists have. */
class Shelf {
  readonly byCreated = new SortedList<Issue>((a, b) => a.created - b.created || a.number - b.number);
  readonly byUpdated = new SortedList<Issue>((a, b) => a.updated - b.updated || a.number - b.number);

  /** How many are open. */
  open = 0;

  replace(before: Issue | undefined, after: Issue | undefined): void {
    this.open += isOpen(after) - isOpen(before);
    for (const list of [this.byCreated, this.byUpdated]) {
      if (before) list.delete(before);
      if (after) list.add(after);
    }
  }

  addAll(issues: readonly Issue[]): void {
    for (const issue of issues) this.open += isOpen(issue);
    for (const list of [this.byCreated, this.byUpdated]) list.addAll(issues);
  }
}

function isOpen(issue: Issue | undefined): number {
  return issue?.fields.state === 'open' ? 1 : 0;
}

export class Repository {
  readonly issues = new Shelf();
  readonly pulls = new Shelf();
  /** Oldest first. */
  readonly branches = new Map<string, Commit[]>();
  readonly commits = new Map<string, Commit>();
  readonly releases: Release[] = [];
  /** Issues that were deleted, or moved: where to. */
  readonly left = new Map<number, { repository: Repository; number: number } | undefined>();
  readonly #byNumber = new Map<number, Issue>();
  #lastNumber = 0;

  constructor(
    readonly id: number,
    readonly owner: string,
    public name: string,
    readonly created: number,
    private readonly github: Store,
    public fields: Row,
    public updated = created,
    public pushed = created,
  ) {}

  get fullName(): string {
    return `${this.owner}/${this.name}`;
  }

  get defaultBranch(): string {
    return (this.fields.default_branch as string | undefined) ?? 'main';
  }

  issue(number: number): Issue | undefined {
    return this.#byNumber.get(number);
  }

  writeIssue(row: Row, at: number, isPull: boolean): Issue {
    const { id, number, ...changes } = row;
    const before = this.#known(id, number, isPull);
    const closing = changes.state === 'closed' && before?.fields.state !== 'closed';
    const issue: Issue = {
      id: before?.id ?? this.github.nextId(),
      number: before?.number ?? ++this.#lastNumber,
      created: before?.created ?? wholeSeconds(at),
      updated: wholeSeconds(at),
      changedAt: this.github.clock.now(),
      isPull: before?.isPull ?? isPull,
      fields: {
        state: 'open',
        ...before?.fields,
        ...(closing && { closed_at: wholeSeconds(at) }),
        ...changes,
      },
    };
    this.#put(before, issue);
    return issue;
  }

  /** A record with an id has to be there. */
  #known(id: unknown, number: unknown, isPull: boolean): Issue | undefined {
    if (id === undefined && number === undefined) return undefined;
    const { items } = (isPull ? this.pulls : this.issues).byCreated;
    const found =
      number === undefined
        ? items.find((issue) => issue.id === Number(id))
        : this.#byNumber.get(Number(number));
    if (!found) throw new ControlError(`no issue ${JSON.stringify(id ?? number)} in ${this.fullName}`);
    return found;
  }

  #put(before: Issue | undefined, after: Issue | undefined): void {
    const number = (before ?? after)?.number ?? 0;
    if (after) this.#byNumber.set(number, after);
    else this.#byNumber.delete(number);
    this.issues.replace(before, after);
    if ((before ?? after)?.isPull) this.pulls.replace(before, after);
  }

  /** Takes an issue out: deleted, or moved to another repository, where it gets a new number. */
  removeIssue(id: number, at: number, to?: Repository): Issue | undefined {
    const issue = this.#known(id, undefined, false);
    if (!issue) return undefined;
    if (issue.isPull) throw new ControlError('a pull request can’t be deleted or transferred');
    this.#put(issue, undefined);
    const there = to?.writeIssue(issue.fields, at, false);
    this.left.set(issue.number, to && there && { repository: to, number: there.number });
    return there;
  }

  push(row: Row, at: number): Commit {
    const { branch = this.defaultBranch, date, ...fields } = row;
    const commits = this.#branch(String(branch as string));
    const committed = wholeSeconds(date === undefined ? at : Date.parse(String(date as string)));
    const parent = commits.at(-1);
    const commit = this.#commit(parent, committed, fields);
    commits.push(commit);
    this.pushed = this.updated = wholeSeconds(at);
    return commit;
  }

  #commit(parent: Commit | undefined, committed: number, fields: Row): Commit {
    const sha = createHash('sha1').update(`${this.id} ${this.github.nextId()}`).digest('hex');
    const commit = { sha, parents: parent ? [parent.sha] : [], committed, fields };
    this.commits.set(sha, commit);
    return commit;
  }

  #branch(name: string): Commit[] {
    let commits = this.branches.get(name);
    // A new branch begins where the default one is.
    if (!commits) this.branches.set(name, (commits = [...(this.branches.get(this.defaultBranch) ?? [])]));
    return commits;
  }

  /** A branch without some of its commits; those after them are written anew. They stay readable by their sha. */
  rewrite(name: string, dropped: ReadonlySet<string>, at: number): void {
    const commits = this.#branch(name);
    const first = commits.findIndex(({ sha }) => dropped.has(sha));
    if (first === -1) return;
    const kept = commits.splice(first).filter(({ sha }) => !dropped.has(sha));
    for (const { committed, fields } of kept) commits.push(this.#commit(commits.at(-1), committed, fields));
    this.pushed = this.updated = wholeSeconds(at);
  }

  writeRelease(row: Row, at: number): Release {
    const { id, ...fields } = row;
    const index = this.releases.findIndex((release) => release.id === Number(id));
    const before = this.releases[index];
    if (id !== undefined && !before)
      throw new ControlError(`no release ${JSON.stringify(id)} in ${this.fullName}`);
    const release = {
      id: before?.id ?? this.github.nextId(),
      created: before?.created ?? wholeSeconds(at),
      fields: { ...before?.fields, ...fields, updated: wholeSeconds(at) },
    };
    if (before) this.releases[index] = release;
    else this.releases.push(release);
    return release;
  }

  removeRelease(id: number): void {
    const index = this.releases.findIndex((release) => release.id === id);
    if (index === -1) throw new ControlError(`no release ${id} in ${this.fullName}`);
    this.releases.splice(index, 1);
  }

  generateIssues(count: number, isPull: boolean): void {
    const first = wholeSeconds(this.github.clock.now()) - 300 * 86_400_000;
    const made: Issue[] = [];
    for (let n = 0; n < count; n++) {
      const created = wholeSeconds(first + (n * 200 * 86_400_000) / count);
      const number = ++this.#lastNumber;
      const state = n % 3 === 0 ? { state: 'closed', closed_at: created } : { state: 'open' };
      const issue = {
        id: this.github.nextId(),
        number,
        created,
        updated: created + (n % 5) * 1000,
        changedAt: 0,
        isPull,
        fields: { title: `Number ${number}`, ...state },
      };
      this.#byNumber.set(number, issue);
      made.push(issue);
    }
    this.issues.addAll(made);
    if (isPull) this.pulls.addAll(made);
  }

  generateCommits(count: number): void {
    const first = wholeSeconds(this.github.clock.now()) - 300 * 86_400_000;
    const commits = this.#branch(this.defaultBranch);
    for (let n = 0; n < count; n++)
      commits.push(
        this.#commit(commits.at(-1), wholeSeconds(first + (n * 200 * 86_400_000) / count), {
          message: `Change ${n}`,
        }),
      );
  }
}

export class Store {
  readonly repositories = new Map<number, Repository>();
  /** Full names that were given up, in lower case. */
  readonly renamed = new Map<string, Repository>();
  #lastId = 1_000;

  constructor(readonly clock: Clock) {}

  nextId(): number {
    return ++this.#lastId;
  }

  byName(fullName: string): Repository | undefined {
    const wanted = fullName.toLowerCase();
    for (const repository of this.repositories.values())
      if (repository.fullName.toLowerCase() === wanted) return repository;
    return undefined;
  }

  owners(): string[] {
    return [...new Set([...this.repositories.values()].map(({ owner }) => owner))];
  }

  write(owner: string, row: Row, at: number): Repository {
    const { id, name, ...fields } = row;
    if (id === undefined) {
      const made = new Repository(
        this.nextId(),
        owner,
        String(name as string),
        wholeSeconds(at),
        this,
        fields,
      );
      this.repositories.set(made.id, made);
      return made;
    }
    const repository = this.repositories.get(Number(id));
    if (!repository) throw new ControlError(`no repository ${JSON.stringify(id)}`);
    if (name !== undefined && name !== repository.name) {
      this.renamed.set(repository.fullName.toLowerCase(), repository);
      repository.name = String(name as string);
    }
    repository.fields = { ...repository.fields, ...fields };
    repository.updated = wholeSeconds(at);
    return repository;
  }
}

export function wholeSeconds(ms: number): number {
  return Math.floor(ms / 1000) * 1000;
}
