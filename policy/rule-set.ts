// All AuthorizationPolicies of a workload as one kind of filter chain enforces them: HTTP, or TCP.
import type { AuthorizationPolicy } from '#api/kinds/authorization-policy.ts';
import type { ExtensionProvider } from '#api/kinds/mesh-config.ts';

import { isDryRun } from './attach.ts';
import type { Condition } from './conditions/condition.ts';
import { customGroups, type CustomGroup } from './custom.ts';
import { makeGroup, type CompiledRule, type RuleGroup } from './rule-group.ts';
import { readRule, type Clause, type RuleModel, type UnknownKey } from './rule.ts';
import type { Verdict } from './verdict.ts';

export type Chain = 'http' | 'tcp';
type Action = AuthorizationPolicy['spec']['action'];

/** A rule that is not in force, with what keeps it out. */
export interface DroppedRule {
  readonly policy: AuthorizationPolicy;
  readonly index: number;
  /** The field that the chain cannot evaluate; null: it is an unknown key. */
  readonly condition: Condition | null;
  readonly model: RuleModel | null;
  readonly unknown: UnknownKey | null;
}

/** A policy under trial. */
export interface DryRun {
  readonly policy: AuthorizationPolicy;
  readonly group: RuleGroup;
}

export interface RuleSet {
  readonly chain: Chain;
  readonly deny: RuleGroup;
  /** null: no ALLOW policy applies, so nothing needs to be allowed. */
  readonly allow: RuleGroup | null;
  /** How many ALLOW policies apply. */
  readonly allowPolicies: number;
  readonly audit: RuleGroup;
  /** In the order in which their authorizers are asked. */
  readonly custom: readonly CustomGroup[];
  readonly dryRuns: readonly DryRun[];
  readonly dropped: readonly DroppedRule[];
}

/** What a policy's rules say, read once for both chains. */
export interface PolicyModel {
  readonly policy: AuthorizationPolicy;
  readonly rules: readonly (RuleModel | UnknownKey)[];
}

/** @param domains the trust domain, then its aliases */
export function readPolicy(policy: AuthorizationPolicy, domains: readonly string[]): PolicyModel {
  const count = policy.spec.rules?.length ?? 0;
  const rules = Array.from({ length: count }, (_, index) => readRule(policy, index, domains));
  return { policy, rules };
}

/** @param policies those that apply to the workload */
export function makeRuleSet(
  policies: readonly PolicyModel[],
  chain: Chain,
  providers: readonly ExtensionProvider[],
): RuleSet {
  const dropped: DroppedRule[] = [];
  const build = (models: readonly PolicyModel[]): Omit<CompiledRule, 'order'>[] =>
    models.flatMap(({ policy, rules }) =>
      rules.flatMap((rule) => buildRule(policy, rule, chain, dropped)),
    );
  const inForce = policies.filter(({ policy }) => !isDryRun(policy));
  const of = (action: Action): PolicyModel[] =>
    inForce.filter(({ policy }) => policy.spec.action === action);
  const allow = of('ALLOW');
  const custom = of('CUSTOM').map((model) => ({ policy: model.policy, rules: build([model]) }));
  return {
    chain,
    deny: makeGroup(build(of('DENY'))),
    allow: allow.length === 0 ? null : makeGroup(build(allow)),
    allowPolicies: allow.length,
    audit: makeGroup(build(of('AUDIT'))),
    custom: customGroups(custom, providers, chain),
    dryRuns: policies
      .filter(({ policy }) => isDryRun(policy))
      .map((model) => ({ policy: model.policy, group: makeGroup(build([model])) })),
    dropped,
  };
}

/**
 * A condition that the chain cannot evaluate, or whose values cannot be built, makes an ALLOW rule disappear (fewer
 * calls are allowed); from any other rule only the condition disappears (more calls are denied).
 */
function buildRule(
  policy: AuthorizationPolicy,
  rule: RuleModel | UnknownKey,
  chain: Chain,
  dropped: DroppedRule[],
): Omit<CompiledRule, 'order'>[] {
  const { index } = rule;
  if ('key' in rule) {
    dropped.push({ policy, index, condition: null, model: null, unknown: rule });
    return [];
  }
  const { namespace, name } = policy.metadata;
  const allows = policy.spec.action === 'ALLOW';
  if (allows) {
    const condition = [...rule.froms, ...rule.tos].flat().find((one) => isBroken(one, chain));
    if (condition !== undefined) {
      dropped.push({ policy, index, condition, model: rule, unknown: null });
      return [];
    }
  }
  const fullName = `ns[${namespace}]-policy[${name}]-rule[${index}]`;
  const verdict: Verdict = {
    allowed: allows,
    decidedBy: allows ? 'ALLOW' : 'DENY',
    namespace,
    policy: name,
    rule: index,
    details: allows ? '' : `rbac_access_denied_matched_policy[${fullName}]`,
  };
  const keep = (clause: Clause): Clause => clause.filter((one) => isUsable(one, chain));
  const froms = rule.froms.map(keep);
  return [{ model: rule, name: fullName, froms, tos: rule.tos.map(keep), verdict }];
}

function isBroken(condition: Condition, chain: Chain): boolean {
  return condition.broken.length > 0 || (chain === 'tcp' && condition.attribute.http);
}

function isUsable(condition: Condition, chain: Chain): boolean {
  return condition.holds !== null && !(chain === 'tcp' && condition.attribute.http);
}
