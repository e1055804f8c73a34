// Every condition that the rules of a workload ask, with what of a call it looks at.
import type { CompiledPolicies } from '../compile.ts';
import type { Condition } from '../conditions/condition.ts';
import type { RuleSet } from '../rule-set.ts';
import type { CompiledRule } from '../rule-group.ts';
import { type Subject, subjectOf } from './subject.ts';

export interface Asked {
  readonly condition: Condition;
  readonly subject: Subject;
  /** It holds where none of its values is met. */
  readonly negative: boolean;
}

/** By condition; those of both chains, which share them. */
export function askedOf(policies: CompiledPolicies): Map<Condition, Asked> {
  const asked = new Map<Condition, Asked>();
  for (const rule of [...rulesOf(policies.http), ...rulesOf(policies.tcp)]) {
    const { namespace } = rule.model.policy.metadata;
    for (const condition of [...rule.froms, ...rule.tos].flat()) {
      if (asked.has(condition)) continue;
      const subject = subjectOf(condition, namespace, policies.trustDomains);
      const negative = /\.not[A-Z]\w+$/.test(condition.field);
      asked.set(condition, { condition, subject, negative });
    }
  }
  return asked;
}

/** What may change a verdict; AUDIT and policies under trial do not. */
function rulesOf({ custom, deny, allow }: RuleSet): readonly CompiledRule[] {
  return [...custom.flatMap(({ group }) => group.rules), ...deny.rules, ...(allow?.rules ?? [])];
}
