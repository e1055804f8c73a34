// Finds the rules that a call may meet by looking its facts up, so that a decision costs what matches, not what exists.
import type { IpSpace, Key, TextSpace } from './conditions/condition.ts';
import { destinationIpOf, remoteIpOf, sourceIpOf } from './conditions/peer.ts';
import type { ConnectionFacts, RequestFacts } from './facts.ts';
import { readIp } from './match/ip.ts';
import { IpTree } from './match/ip-tree.ts';
import { TextTree, type Visitor } from './match/text-tree.ts';
import type { Clause } from './rule.ts';
import type { CompiledRule } from './rule-group.ts';
import { nameOf, Selectivity } from './selectivity.ts';
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
    const selectivity = new Selectivity(rules);
    for (const rule of rules) this.#file(rule, selectivity);
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

  #file(rule: CompiledRule, selectivity: Selectivity): void {
    const from = selectivity.choose(rule.froms);
    const to = selectivity.choose(rule.tos);
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
