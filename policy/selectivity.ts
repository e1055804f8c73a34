// Which field of a rule narrows the candidates most, judged by how many other rules share its values.
import type { Condition, Key } from './conditions/condition.ts';
import type { Clause } from './rule.ts';
import type { CompiledRule } from './rule-group.ts';

/** One field for each clause (null: none can be indexed), and how dear it is to file them so. */
export interface Choice {
  readonly fields: readonly (Condition | null)[];
  readonly cost: number;
}

/**
 * To check so many candidates costs less than to look one more fact of the call up, so among fields that are
 * selective enough the one wins whose fact most rules can be found by: then fewer facts need a look.
 */
const candidatesFree = 4;

export class Selectivity {
  /** How many clauses name each key, and how many can be found in each space. */
  readonly #keys = new Map<string, number>();
  readonly #spaces = new Map<string, number>();
  #clauses = 1;

  constructor(rules: readonly CompiledRule[]) {
    for (const rule of rules) {
      for (const clause of rule.froms) this.#count(clause);
      for (const clause of rule.tos) this.#count(clause);
    }
  }

  choose(clauses: readonly Clause[]): Choice {
    const fields: (Condition | null)[] = [];
    let cost = 0;
    for (const clause of clauses) {
      let best: Condition | null = null;
      let bestCost = Infinity;
      for (const condition of clause) {
        const price = this.#price(condition);
        if (price < bestCost) [best, bestCost] = [condition, price];
      }
      fields.push(best);
      cost += bestCost;
    }
    return { fields, cost };
  }

  #count(clause: Clause): void {
    this.#clauses++;
    for (const { keys } of clause) {
      const [first] = keys ?? [];
      if (keys === null || first === undefined) continue;
      add(this.#spaces, spaceOf(first));
      for (const key of keys) add(this.#keys, nameOf(key));
    }
  }

  #price({ keys }: Condition): number {
    const [first] = keys ?? [];
    if (keys === null || first === undefined) return Infinity;
    let most = candidatesFree;
    for (const key of keys) most = Math.max(most, this.#keys.get(nameOf(key)) ?? 0);
    return most + 1 - (this.#spaces.get(spaceOf(first)) ?? 0) / this.#clauses;
  }
}

/** A text that is the same for equal keys only. */
export function nameOf(key: Key): string {
  if (key.kind === 'port') return `port ${key.port}`;
  if (key.kind === 'ip') return `${key.space} ${key.block.words.join('.')}/${key.block.length}`;
  return `${key.space} ${key.form} ${key.text}`;
}

function spaceOf(key: Key): string {
  return key.kind === 'port' ? 'port' : key.space;
}

function add(counts: Map<string, number>, name: string): void {
  counts.set(name, (counts.get(name) ?? 0) + 1);
}
