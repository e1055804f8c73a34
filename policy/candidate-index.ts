// Finds the rules that a call may meet by looking its facts up, so that a decision costs what matches, not what exists.
import type { Condition, IpSpace, Key, TextSpace } from './conditions/condition.ts';
import { destinationIpOf, remoteIpOf, sourceIpOf } from './conditions/peer.ts';
import type { ConnectionFacts, RequestFacts } from './facts.ts';
import { readIp } from './match/ip.ts';
import { IpTree } from './match/ip-tree.ts';
import { TextTree, type Visitor } from './match/text-tree.ts';
import type { Clause } from './rule.ts';
import type { CompiledRule } from './rule-group.ts';
import { walkOf, type TextKeys, type Walk } from './text-spaces.ts';

/** A rule by one of its clauses: it matches when `own` and any of `others` hold. */
export interface Candidate {
  readonly rule: CompiledRule;
  readonly own: Clause;
  readonly others: readonly Clause[];
}

interface TextIndex extends TextKeys {
  readonly space: TextSpace;
  readonly walk: Walk;
}

interface IpIndex {
  readonly space: IpSpace;
  readonly tree: IpTree<Candidate>;
}

/**
 * Each rule is filed clause by clause (its `from` clauses or its `to` clauses, whichever is more selective) under
 * the keys of one field: that which the fewest other rules share. A call that meets the clause has one of the keys.
 */
export class CandidateIndex {
  readonly #always: Candidate[] = [];
  readonly #texts: TextIndex[] = [];
  readonly #ips: IpIndex[] = [];
  readonly #ports = new Map<number, Candidate[]>();

  /** @param rules in order */
  constructor(rules: readonly CompiledRule[]) {
    const popularity = countKeys(rules);
    for (const rule of rules) this.#file(rule, popularity);
  }

  /** Visits lists of candidates, each in the order of its rules; together they hold every rule that matches. */
  search(
    connection: ConnectionFacts,
    request: RequestFacts | null,
    visitor: Visitor<Candidate>,
  ): void {
    if (this.#always.length > 0) visitor.visit(this.#always);
    if (this.#ports.size > 0) {
      const candidates = this.#ports.get(connection.destinationPort);
      if (candidates !== undefined) visitor.visit(candidates);
    }
    for (const { space, tree } of this.#ips) {
      tree.walk(readIp(ipOf(space, connection, request)), visitor);
    }
    for (const index of this.#texts) index.walk(index, connection, request, visitor);
  }

  #file(rule: CompiledRule, popularity: ReadonlyMap<string, number>): void {
    const from = chooseFields(rule.froms, popularity);
    const to = chooseFields(rule.tos, popularity);
    const byTo = to.cost < from.cost;
    const clauses = byTo ? rule.tos : rule.froms;
    const others = byTo ? rule.froms : rule.tos;
    const fields = byTo ? to.fields : from.fields;
    for (const [i, own] of clauses.entries()) {
      const candidate: Candidate = { rule, own, others };
      const keys = fields[i]?.keys ?? null;
      if (keys === null) this.#always.push(candidate);
      else for (const key of uniqueKeys(keys)) this.#insert(key, candidate);
    }
  }

  #insert(key: Key, candidate: Candidate): void {
    if (key.kind === 'port') {
      const known = this.#ports.get(key.port);
      if (known === undefined) this.#ports.set(key.port, [candidate]);
      else known.push(candidate);
    } else if (key.kind === 'ip') {
      this.#ipIndex(key.space).tree.insert(key.block, candidate);
    } else {
      const index = this.#textIndex(key.space);
      if (key.form === 'suffix') {
        index.backward ??= new TextTree({ fold: key.space === 'host', backward: true });
        index.backward.insert(key.text, 'open', candidate);
      } else {
        index.forward.insert(key.text, key.form === 'exact' ? 'exact' : 'open', candidate);
      }
    }
  }

  #ipIndex(space: IpSpace): IpIndex {
    const known = this.#ips.find((index) => index.space === space);
    if (known !== undefined) return known;
    const made: IpIndex = { space, tree: new IpTree() };
    this.#ips.push(made);
    return made;
  }

  #textIndex(space: TextSpace): TextIndex {
    const known = this.#texts.find((index) => index.space === space);
    if (known !== undefined) return known;
    const forward = new TextTree<Candidate>({ fold: space === 'host' });
    const made: TextIndex = { space, walk: walkOf(space), forward, backward: null };
    this.#texts.push(made);
    return made;
  }
}

/** One field for each clause (null: none can be indexed), and how many candidates to expect in all. */
interface Choice {
  readonly fields: readonly (Condition | null)[];
  readonly cost: number;
}

function chooseFields(clauses: readonly Clause[], popularity: ReadonlyMap<string, number>): Choice {
  const fields: (Condition | null)[] = [];
  let cost = 0;
  for (const clause of clauses) {
    let best: Condition | null = null;
    let bestCost = Infinity;
    for (const condition of clause) {
      const price = costOf(condition, popularity);
      if (price < bestCost) [best, bestCost] = [condition, price];
    }
    fields.push(best);
    cost += bestCost;
  }
  return { fields, cost };
}

function costOf(condition: Condition, popularity: ReadonlyMap<string, number>): number {
  if (condition.keys === null) return Infinity;
  let most = 0;
  for (const key of condition.keys) most = Math.max(most, popularity.get(nameOf(key)) ?? 0);
  return most;
}

/** How many clauses name each key. */
function countKeys(rules: readonly CompiledRule[]): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const rule of rules) {
    for (const clause of [...rule.froms, ...rule.tos]) {
      for (const condition of clause) {
        for (const key of condition.keys ?? []) {
          const name = nameOf(key);
          counts.set(name, (counts.get(name) ?? 0) + 1);
        }
      }
    }
  }
  return counts;
}

function nameOf(key: Key): string {
  if (key.kind === 'port') return `port ${key.port}`;
  if (key.kind === 'ip') return `${key.space} ${key.block.words.join('.')}/${key.block.length}`;
  return `${key.space} ${key.form} ${key.text}`;
}

/** So that a value written twice does not file a candidate twice. */
function uniqueKeys(keys: readonly Key[]): readonly Key[] {
  if (keys.length === 1) return keys;
  return [...new Map(keys.map((key) => [nameOf(key), key])).values()];
}

function ipOf(space: IpSpace, connection: ConnectionFacts, request: RequestFacts | null): string {
  if (space === 'source.ip') return sourceIpOf(connection);
  if (space === 'destination.ip') return destinationIpOf(connection);
  return remoteIpOf(connection, request);
}
