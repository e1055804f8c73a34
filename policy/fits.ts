// How each rule of a workload fits one call, field by field: for people who look into a verdict.
import type { ConnectionFacts, RequestFacts } from './facts.ts';
import { measure, measureDropped } from './nearest.ts';
import type { RuleGroup } from './rule-group.ts';
import type { RuleSet } from './rule-set.ts';
import type { NearMiss } from './verdict.ts';

export interface RuleFit extends NearMiss {
  readonly action: 'CUSTOM' | 'DENY' | 'ALLOW' | 'AUDIT';
  /** Its policy is only tried. */
  readonly isTrial: boolean;
  /** Something of it cannot be evaluated here, so that it is not in force. */
  readonly isDropped: boolean;
}

/** In the order in which they are asked; a rule without misses matches. @param request null for a TCP connection */
export function fitsOf(
  rules: RuleSet,
  connection: ConnectionFacts,
  request: RequestFacts | null,
): RuleFit[] {
  const of = (group: RuleGroup | null, action: RuleFit['action'], isTrial = false): RuleFit[] =>
    (group?.rules ?? []).map(({ model, froms, tos }) => ({
      ...measure(model.policy, model.index, froms, tos, connection, request),
      action,
      isTrial,
      isDropped: false,
    }));
  const dropped = rules.dropped.map((rule) => ({
    ...measureDropped(rule, connection, request),
    action: rule.policy.spec.action,
    isTrial: rules.dryRuns.some(({ policy }) => policy === rule.policy),
    isDropped: true,
  }));
  const inForce = [
    ...rules.custom.flatMap(({ group }) => of(group, 'CUSTOM')),
    ...of(rules.deny, 'DENY'),
    ...of(rules.allow, 'ALLOW'),
    ...of(rules.audit, 'AUDIT'),
  ];
  const tried = rules.dryRuns.flatMap(({ policy, group }) => of(group, policy.spec.action, true));
  return [...inForce, ...dropped, ...tried];
}
