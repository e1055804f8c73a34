// What changed, as a list with growing numbers: resources and problems that came, changed or went.
import { isDeepStrictEqual } from 'node:util';

import type { AnyResource } from '#api/load.ts';
import { nameOf } from '#api/origin.ts';
import type { Problem } from '#api/problem.ts';

export interface Change {
  /** Grows by one; `since` of the next question. */
  readonly seq: number;
  /** RFC 3339. */
  readonly at: string;
  /** Revision of the snapshots that the change led to. */
  readonly revision: number;
  readonly what: 'added' | 'changed' | 'removed' | 'problem' | 'cured';
  /** `Kind namespace/name`; absent for a problem of no resource. */
  readonly resource?: string;
  readonly file?: string;
  readonly line?: number;
  readonly problem?: Problem;
}

const names = new WeakMap<AnyResource, string>();

type News = Omit<Change, 'seq' | 'at' | 'revision'>;

export class ChangeLog {
  readonly #changesMax: number;
  #changes: Change[] = [];
  #seq = 0;
  #resources: ReadonlyMap<string, AnyResource> = new Map();
  #problems: ReadonlyMap<string, Problem> = new Map();
  readonly #waiting = new Set<() => void>();

  /** @param changesMax older ones are forgotten */
  constructor(changesMax = 2000) {
    this.#changesMax = changesMax;
  }

  get seq(): number {
    return this.#seq;
  }

  /** Compares with what was recorded last. @return what is different */
  record(
    revision: number,
    resources: readonly AnyResource[],
    problems: readonly Problem[],
  ): Change[] {
    const nextResources = new Map(resources.map((resource) => [knownName(resource), resource]));
    const nextProblems = new Map(problems.map((problem) => [keyOf(problem), problem]));
    const news = [
      ...resourceNews(this.#resources, nextResources),
      ...problemNews(this.#problems, nextProblems),
    ];
    const at = new Date().toISOString();
    const changes = news.map((one): Change => ({ seq: ++this.#seq, at, revision, ...one }));
    this.#resources = nextResources;
    this.#problems = nextProblems;
    if (changes.length === 0) return changes;
    this.#changes = [...this.#changes, ...changes].slice(-this.#changesMax);
    for (const wake of this.#waiting) wake();
    return changes;
  }

  /** Changes after number `seq`; `missed`: some before those are forgotten already. */
  since(seq: number): { readonly changes: readonly Change[]; readonly missed: boolean } {
    const first = this.#changes[0]?.seq ?? this.#seq + 1;
    return {
      changes: this.#changes.filter((change) => change.seq > seq),
      missed: seq + 1 < first,
    };
  }

  /** Resolves when there is a change after `seq`, or after `waitMs`. */
  async waitFor(seq: number, waitMs: number): Promise<void> {
    if (this.#seq > seq || waitMs <= 0) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, waitMs);
    timer.unref();
    this.#waiting.add(resolve);
    await promise;
    this.#waiting.delete(resolve);
    clearTimeout(timer);
  }
}

/** Of thousands of resources a change leaves all but a few the same objects. */
function knownName(resource: AnyResource): string {
  let name = names.get(resource);
  if (name === undefined) {
    name = nameOf(resource);
    names.set(resource, name);
  }
  return name;
}

function resourceNews(
  before: ReadonlyMap<string, AnyResource>,
  after: ReadonlyMap<string, AnyResource>,
): News[] {
  const news: News[] = [];
  for (const [resource, now] of after) {
    const old = before.get(resource);
    const place = { resource, file: now.origin?.file, line: now.origin?.line };
    if (old === undefined) news.push({ what: 'added', ...place });
    else if (!sameContent(old, now)) news.push({ what: 'changed', ...place });
  }
  for (const [resource, old] of before) {
    if (after.has(resource)) continue;
    news.push({ what: 'removed', resource, file: old.origin?.file, line: old.origin?.line });
  }
  return news;
}

function problemNews(
  before: ReadonlyMap<string, Problem>,
  after: ReadonlyMap<string, Problem>,
): News[] {
  return [
    ...[...after].filter(([key]) => !before.has(key)).map(([, p]) => newsOf('problem', p)),
    ...[...before].filter(([key]) => !after.has(key)).map(([, p]) => newsOf('cured', p)),
  ];
}

function newsOf(what: 'problem' | 'cured', problem: Problem): News {
  const { resource, file, line } = problem;
  return { what, resource, file, line, problem };
}

/** Lines that only moved are no change of the resource. */
function sameContent(a: AnyResource, b: AnyResource): boolean {
  return a === b || isDeepStrictEqual({ ...a, origin: null }, { ...b, origin: null });
}

/** Without its place: a problem that only moved is still the same one. */
function keyOf({ severity, code, message, file, resource }: Problem): string {
  return JSON.stringify([severity, code, message, file, resource]);
}
