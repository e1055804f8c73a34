// The routes of one group in one place: the first that a request meets, without asking each of them.
import type { HttpRoute, RouteGroup, RouteMatch, TextMatch } from '#api/traffic/route.ts';
import { lowerAscii } from '#policy/match/text.ts';
import { TextTree, type Visitor } from '#policy/match/text-tree.ts';

import type { RequestFacts } from '#policy/facts.ts';
import { compileRoute } from './compile-route.ts';
import type { CompiledGroup, CompiledRoute } from './compiled-route.ts';
import { pathEnd } from '#policy/conditions/request.ts';
import { literalPrefix } from './regex-prefix.ts';
import type { RegexFactory } from './regex.ts';
import { compileMatch, type RequestMatcher } from './request-matcher.ts';
import { withoutFinalSlash } from './text-matcher.ts';

/** A place in the order of matches. */
interface Entry {
  readonly order: number;
  readonly compiled: CompiledRoute;
  /** Null: whatever is left to ask, every request meets it. */
  readonly matcher: RequestMatcher | null;
}

interface Place {
  readonly route: HttpRoute;
  readonly match: RouteMatch | null;
}

/** Up to so many matches a plain loop is faster than a tree. */
const loopMax = 4;

/** @param onProblem told of a route that cannot be compiled and is left out */
export function compileGroup(
  group: RouteGroup,
  regexes: RegexFactory,
  onProblem: (problem: string) => void,
): CompiledGroup {
  const places = group.http.flatMap((route): Place[] =>
    route.matches.length === 0
      ? [{ route, match: null }]
      : route.matches.map((match) => ({ route, match })),
  );
  const indexed = places.length > loopMax;
  const builder = new Builder(regexes, onProblem);
  for (const place of places) if (!builder.add(place, indexed)) break;
  return indexed
    ? new IndexedGroup(group, builder.loose, builder.exactCase, builder.anyCase)
    : new LoopedGroup(group, builder.loose);
}

class Builder {
  readonly loose: Entry[] = [];
  exactCase: TextTree<Entry> | null = null;
  anyCase: TextTree<Entry> | null = null;
  private readonly regexes: RegexFactory;
  private readonly onProblem: (problem: string) => void;
  private order = 0;

  constructor(regexes: RegexFactory, onProblem: (problem: string) => void) {
    this.regexes = regexes;
    this.onProblem = onProblem;
  }

  /** @returns whether anything that comes later can still be met */
  add({ route, match }: Place, indexed: boolean): boolean {
    const key = indexed && match?.path !== undefined ? treeKey(match.path) : null;
    try {
      const matcher =
        match === null ? null : compileMatch(match, this.regexes, key?.proves === true);
      const compiled = compileRoute(route, match, this.regexes);
      const entry = { order: this.order++, compiled, matcher };
      if (key === null) this.loose.push(entry);
      else if (key.fold) {
        this.anyCase ??= new TextTree<Entry>({ fold: true });
        this.anyCase.insert(key.text, key.form, entry);
      } else {
        this.exactCase ??= new TextTree<Entry>();
        this.exactCase.insert(key.text, key.form, entry);
      }
      return key !== null || matcher !== null;
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      this.onProblem(`${route.source} ${route.path}: ${why}`);
      return true;
    }
  }
}

/** Where a path match stands in a tree. */
interface TreeKey {
  readonly text: string;
  readonly form: 'exact' | 'open';
  readonly fold: boolean;
  /** Whoever is found there needs no further look at the path. */
  readonly proves: boolean;
}

function treeKey(path: NonNullable<RouteMatch['path']>): TreeKey | null {
  if (path.kind === 'segments') {
    return { text: withoutFinalSlash(path.value), form: 'open', fold: false, proves: false };
  }
  if (path.kind === 'regex') {
    const text = literalPrefix(path.value);
    return text === '' ? null : { text, form: 'open', fold: false, proves: false };
  }
  return literalKey(path);
}

function literalKey(path: Exclude<TextMatch, { kind: 'regex' }>): TreeKey {
  const fold = path.ignoreCase === true;
  const text = fold ? lowerAscii(path.value) : path.value;
  return { text, form: path.kind === 'exact' ? 'exact' : 'open', fold, proves: true };
}

class LoopedGroup implements CompiledGroup {
  readonly group: RouteGroup;
  private readonly entries: readonly Entry[];

  constructor(group: RouteGroup, entries: readonly Entry[]) {
    this.group = group;
    this.entries = entries;
  }

  route(request: RequestFacts): CompiledRoute | null {
    const end = pathEnd(request.path);
    for (const { matcher, compiled } of this.entries) {
      if (matcher === null || matcher.matches(request, end)) return compiled;
    }
    return null;
  }
}

class IndexedGroup implements CompiledGroup {
  readonly group: RouteGroup;
  /** Those whose path has no literal beginning. */
  private readonly loose: readonly Entry[];
  private readonly exactCase: TextTree<Entry> | null;
  private readonly anyCase: TextTree<Entry> | null;
  private readonly search = new Search();

  constructor(
    group: RouteGroup,
    loose: readonly Entry[],
    exactCase: TextTree<Entry> | null,
    anyCase: TextTree<Entry> | null,
  ) {
    this.group = group;
    this.loose = loose;
    this.exactCase = exactCase;
    this.anyCase = anyCase;
  }

  route(request: RequestFacts): CompiledRoute | null {
    const { search } = this;
    const end = search.begin(request);
    this.exactCase?.walk(request.path, 0, end, search);
    this.anyCase?.walk(request.path, 0, end, search);
    search.visit(this.loose);
    return search.finish();
  }
}

/** Keeps the earliest entry that a request meets; one for a group, since nothing in a search waits. */
class Search implements Visitor<Entry> {
  private request: RequestFacts | null = null;
  private end = 0;
  private best: Entry | null = null;

  begin(request: RequestFacts): number {
    this.request = request;
    this.best = null;
    this.end = pathEnd(request.path);
    return this.end;
  }

  /** @param entries in order */
  visit(entries: readonly Entry[]): void {
    const { request, end } = this;
    if (request === null) return;
    const before = this.best === null ? Infinity : this.best.order;
    for (const entry of entries) {
      if (entry.order > before) return;
      if (entry.matcher !== null && !entry.matcher.matches(request, end)) continue;
      this.best = entry;
      return;
    }
  }

  finish(): CompiledRoute | null {
    const { best } = this;
    this.request = null;
    this.best = null;
    return best === null ? null : best.compiled;
  }
}
