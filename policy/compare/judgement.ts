// What became of a judged call, in few words: to be set beside another.
import type { CompiledPolicies } from '../compile.ts';
import { describe } from '../explain.ts';
import type { Outcome } from '../judge.ts';

export interface Judgement {
  readonly allowed: boolean;
  readonly decision: Outcome['decision'];
  /** `namespace/name`; null: no rule decided. */
  readonly policy: string | null;
  readonly rule: number | null;
  /** `file:line`. */
  readonly at: string | null;
  /** A sentence, with the place in it. */
  readonly reason: string;
}

/** What an outcome comes down to. */
export function judgementOf(policies: CompiledPolicies, outcome: Outcome): Judgement {
  const { decision, verdict, explanation, protocol } = outcome;
  const named = verdict !== null && verdict.policy !== '';
  const reason =
    verdict === null || explanation === null
      ? outcome.reason
      : describe(protocol === 'tcp' ? policies.tcp : policies.http, verdict);
  return {
    allowed: decision === 'allow',
    decision,
    policy: named ? `${verdict.namespace}/${verdict.policy}` : null,
    rule: named ? verdict.rule : null,
    at: explanation?.at ?? null,
    reason,
  };
}
