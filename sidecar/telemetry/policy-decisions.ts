// Decisions of policies, counted by the rule that made them.
import type { Verdict } from '#policy/verdict.ts';

import type { ConnectionSlot } from './slot.ts';
import type { SeriesLabels } from './series.ts';

/** Rules that were in force since the start, at most; later ones share one row. */
const rowsMax = 1000;

export interface DecisionCount {
  readonly labels: SeriesLabels;
  value: number;
}

export class PolicyDecisions {
  readonly #rows = new Map<string, DecisionCount>();
  /** Verdicts are made once for each rule, when policies are compiled. */
  readonly #byVerdict = new WeakMap<Verdict, DecisionCount>();

  /** Of a request: a connection mostly gets the same verdict again. */
  count(slot: ConnectionSlot, verdict: Verdict): void {
    if (slot.verdict !== verdict || slot.decision === null) {
      slot.verdict = verdict;
      slot.decision = this.#rowOf(verdict);
    }
    slot.decision.value += 1;
  }

  add(verdict: Verdict): void {
    this.#rowOf(verdict).value += 1;
  }

  read(): Iterable<DecisionCount> {
    return this.#rows.values();
  }

  #rowOf(verdict: Verdict): DecisionCount {
    const known = this.#byVerdict.get(verdict);
    if (known !== undefined) return known;
    const labels = labelsOf(verdict);
    const key = Object.values(labels).join('\n');
    const row = this.#rows.get(key) ?? this.#add(key, labels);
    this.#byVerdict.set(verdict, row);
    return row;
  }

  #add(key: string, labels: SeriesLabels): DecisionCount {
    if (this.#rows.size >= rowsMax && key !== 'overflow') {
      return this.#rows.get('overflow') ?? this.#add('overflow', { decision: 'overflow' });
    }
    const row = { labels, value: 0 };
    this.#rows.set(key, row);
    return row;
  }
}

/** Without a policy: no rule forbids, or no ALLOW rule matched. */
function labelsOf({ allowed, decidedBy, namespace, policy, rule }: Verdict): SeriesLabels {
  return {
    decision: allowed ? 'allow' : 'deny',
    action: decidedBy,
    // Scrapers give every series of a pod the label `namespace`.
    policy_namespace: namespace,
    policy,
    rule: rule < 0 ? '' : String(rule),
  };
}
