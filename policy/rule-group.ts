// The rules of one action, in the order of their names, with the index that finds those a call may meet.
import type { ConnectionFacts, RequestFacts } from './facts.ts';
import { CandidateIndex, type Candidate } from './candidate-index.ts';
import type { Clause, RuleModel } from './rule.ts';
import type { Verdict } from './verdict.ts';

/** A rule as it counts on one kind of filter chain, HTTP or TCP. */
export interface CompiledRule {
  readonly model: RuleModel;
  /** `ns[NS]-policy[NAME]-rule[I]`: Envoy's name for it, by which rules are ordered. */
  readonly name: string;
  /** Place in the group. */
  readonly order: number;
  /** Without the conditions that could not be built. */
  readonly froms: readonly Clause[];
  readonly tos: readonly Clause[];
  readonly verdict: Verdict;
}

export interface RuleGroup {
  /** In order. */
  readonly rules: readonly CompiledRule[];
  readonly index: CandidateIndex;
}

/** Puts rules in order and indexes them. */
export function makeGroup(rules: readonly Omit<CompiledRule, 'order'>[]): RuleGroup {
  const sorted = rules
    .toSorted((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0))
    .map((rule, order): CompiledRule => ({ ...rule, order }));
  return { rules: sorted, index: new CandidateIndex(sorted) };
}

/** The first rule, in order, that matches; null when none does. Allocates nothing. */
export function findFirst(
  group: RuleGroup,
  connection: ConnectionFacts,
  request: RequestFacts | null,
): CompiledRule | null {
  if (group.rules.length === 0) return null;
  return first.find(group.index, connection, request);
}

/** Every rule that matches, in order. */
export function findAll(
  group: RuleGroup,
  connection: ConnectionFacts,
  request: RequestFacts | null,
): readonly CompiledRule[] {
  const found = new Set<CompiledRule>();
  group.index.search(connection, request, {
    visit(candidates) {
      for (const candidate of candidates) {
        if (candidateHolds(candidate, connection, request)) found.add(candidate.rule);
      }
    },
  });
  return [...found].toSorted((a, b) => a.order - b.order);
}

/** Whether all conditions of a clause hold. */
export function clauseHolds(
  clause: Clause,
  connection: ConnectionFacts,
  request: RequestFacts | null,
): boolean {
  for (const condition of clause) {
    if (condition.holds !== null && !condition.holds(connection, request)) return false;
  }
  return true;
}

function candidateHolds(
  candidate: Candidate,
  connection: ConnectionFacts,
  request: RequestFacts | null,
): boolean {
  if (!clauseHolds(candidate.own, connection, request)) return false;
  for (const clause of candidate.others) {
    if (clauseHolds(clause, connection, request)) return true;
  }
  return false;
}

/** Keeps the earliest rule that matched. One object serves every search: searches never nest. */
class FirstMatch {
  #connection: ConnectionFacts | null = null;
  #request: RequestFacts | null = null;
  #best: CompiledRule | null = null;

  find(
    index: CandidateIndex,
    connection: ConnectionFacts,
    request: RequestFacts | null,
  ): CompiledRule | null {
    this.#connection = connection;
    this.#request = request;
    this.#best = null;
    try {
      index.search(connection, request, this);
      return this.#best;
    } finally {
      // So that a request is not kept alive until the next one.
      this.#connection = null;
      this.#request = null;
      this.#best = null;
    }
  }

  /** @param candidates in the order of their rules */
  visit(candidates: readonly Candidate[]): void {
    const connection = this.#connection;
    if (connection === null) return;
    for (const candidate of candidates) {
      if (this.#best !== null && candidate.rule.order >= this.#best.order) return;
      if (candidateHolds(candidate, connection, this.#request)) {
        this.#best = candidate.rule;
        return;
      }
    }
  }
}

const first = new FirstMatch();
