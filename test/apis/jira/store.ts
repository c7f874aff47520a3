/** Projects, their issues, and users. Times are epoch ms. */
import { type Clock } from '../frame/clock';
import { SearchIndex } from '../frame/search-index';
import { ControlError, type Row } from '../frame/simulation';
import { type Switches } from './switches';

/** Each is replaced as a whole at each change. */
export interface Issue {
  readonly id: number;
  readonly project: number;
  readonly number: number;
  readonly createdAt: number;
  readonly updatedAt: number;
  readonly archivedAt?: number;
  readonly fields: Row;
}

export interface Project {
  readonly id: number;
  readonly key: string;
  readonly name: string;
  readonly state: 'live' | 'archived' | 'deleted';
  readonly fields: Row;
}

export interface User {
  readonly accountId: string;
  readonly deleted: boolean;
  readonly fields: Row;
}

export class Site {
  readonly issues = new Map<number, Issue>();
  readonly index: SearchIndex<Issue>;
  readonly projects = new Map<number, Project>();
  /** In the order of their creation; those that were deleted leave their place. */
  readonly users: User[] = [];
  /** By each key that an issue ever had. */
  readonly #byKey = new Map<string, number>();
  readonly #numbers = new Map<number, number>();
  #lastId = 10_000;

  constructor(
    private readonly clock: Clock,
    switches: Switches,
  ) {
    this.index = new SearchIndex(clock, (id) =>
      switches.unevenLag ? (switches.indexLagMs * (1 + (id % 4))) / 4 : switches.indexLagMs,
    );
  }

  keyOf({ project, number }: Issue): string {
    return `${this.projects.get(project)?.key}-${number}`;
  }

  /** By id, or by any key that it had. */
  issue(idOrKey: string): Issue | undefined {
    return this.issues.get(
      /^\d+$/.test(idOrKey) ? Number(idOrKey) : (this.#byKey.get(idOrKey.toUpperCase()) ?? 0),
    );
  }

  project(idOrKey: string): Project | undefined {
    if (/^\d+$/.test(idOrKey)) return this.projects.get(Number(idOrKey));
    const wanted = idOrKey.toLowerCase();
    for (const project of this.projects.values())
      if (project.key.toLowerCase() === wanted || project.name.toLowerCase() === wanted) return project;
    return undefined;
  }

  /** Fields by their names, in `fields` or not; `project` is a key, where it isn't the first. */
  writeIssue(row: Row, at: number): Issue {
    const { id, project: named, fields, ...others } = row;
    const changes = { ...(fields as Row | undefined), ...others };
    if (id !== undefined) {
      const before = this.#known(Number(id));
      return this.#put({ ...before, updatedAt: at, fields: { ...before.fields, ...changes } });
    }
    const project = this.#projectNamed(named);
    return this.#put({
      id: ++this.#lastId,
      project: project.id,
      number: this.#number(project.id),
      createdAt: at,
      updatedAt: at,
      fields: changes,
    });
  }

  #projectNamed(named: unknown): Project {
    const [first] = this.projects.values();
    const project = named === undefined ? first : this.project(String(named as string));
    if (!project) throw new ControlError(`no project ${JSON.stringify(named)}`);
    return project;
  }

  removeIssue(id: number): void {
    this.#known(id);
    this.issues.delete(id);
    this.index.note(id, undefined);
  }

  /** To another project, where it gets a key beside those that it had. */
  move(id: number, to: string, at: number): Issue {
    const { id: project } = this.#projectNamed(to);
    return this.#put({ ...this.#known(id), project, number: this.#number(project), updatedAt: at });
  }

  /** Out of search; still to be read. Nothing else changes. */
  archive(id: number, at: number | undefined): Issue {
    return this.#put({ ...this.#known(id), archivedAt: at });
  }

  writeProject(row: Row): Project {
    const { id, key, name, ...fields } = row;
    const before = id === undefined ? undefined : this.project(String(id as string));
    if (id !== undefined && !before) throw new ControlError(`no project ${JSON.stringify(id)}`);
    const project: Project = {
      id: before?.id ?? ++this.#lastId,
      key: (key as string | undefined) ?? before?.key ?? `P${this.#lastId}`,
      name:
        (name as string | undefined) ??
        before?.name ??
        `Project ${(key as string | undefined) ?? this.#lastId}`,
      state: before?.state ?? 'live',
      fields: { ...before?.fields, ...fields },
    };
    this.projects.set(project.id, project);
    return project;
  }

  setState(id: string, state: Project['state']): Project {
    const project = this.project(id);
    if (!project) throw new ControlError(`no project ${id}`);
    const after = { ...project, state };
    this.projects.set(project.id, after);
    return after;
  }

  removeProject(id: string): void {
    const project = this.project(id);
    if (!project) throw new ControlError(`no project ${id}`);
    for (const issue of this.issues.values()) if (issue.project === project.id) this.removeIssue(issue.id);
    this.projects.delete(project.id);
  }

  writeUser(row: Row): User {
    const { accountId, id, ...fields } = row;
    const known = accountId ?? id;
    const at = this.users.findIndex((user) => user.accountId === known && !user.deleted);
    if (known !== undefined && at === -1) throw new ControlError(`no user ${JSON.stringify(known)}`);
    const before = this.users[at];
    const number = ++this.#lastId;
    const user = {
      accountId: before?.accountId ?? `5b10a2844c20165700ede${number}`,
      deleted: false,
      fields: { displayName: `Person ${number}`, ...before?.fields, ...fields },
    };
    if (before) this.users[at] = user;
    else this.users.push(user);
    return user;
  }

  removeUser(accountId: string): void {
    const at = this.users.findIndex((user) => user.accountId === accountId && !user.deleted);
    if (at === -1) throw new ControlError(`no user ${accountId}`);
    this.users[at] = { ...(this.users[at] as User), deleted: true };
  }

  generateIssues(count: number): void {
    const projects = [...this.projects.values()];
    const first = this.clock.now() - 300 * 86_400_000;
    const made: Issue[] = [];
    for (let n = 0; n < count; n++) {
      const project = (projects[n % projects.length] as Project).id;
      const createdAt = Math.floor(first + (n * 200 * 86_400_000) / count);
      const [id, number] = [++this.#lastId, this.#number(project)];
      const fields = { summary: `Number ${n}` };
      made.push({ id, project, number, createdAt, updatedAt: createdAt + (n % 7) * 1_000, fields });
    }
    for (const issue of made) this.#keep(issue);
    this.index.addAll(made);
  }

  #known(id: number): Issue {
    const issue = this.issues.get(id);
    if (!issue) throw new ControlError(`no issue ${id}`);
    return issue;
  }

  #put(issue: Issue): Issue {
    this.#keep(issue);
    this.index.note(issue.id, issue.archivedAt === undefined ? issue : undefined);
    return issue;
  }

  #keep(issue: Issue): void {
    this.issues.set(issue.id, issue);
    this.#byKey.set(this.keyOf(issue), issue.id);
  }

  #number(project: number): number {
    const number = (this.#numbers.get(project) ?? 0) + 1;
    this.#numbers.set(project, number);
    return number;
  }
}
