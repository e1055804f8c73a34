// Says why a verdict fell: the rule and its line, the nearest miss, what AUDIT and dry-run policies say.
import type { AuthorizationPolicy } from '#api/kinds/authorization-policy.ts';

import { audited, decide } from './decide.ts';
import type { ConnectionFacts, RequestFacts } from './facts.ts';
import { findNearest } from './nearest.ts';
import { positionOf } from './position.ts';
import { findFirst, type CompiledRule } from './rule-group.ts';
import type { DryRun, RuleSet } from './rule-set.ts';
import type { Explanation, NearMiss, Verdict } from './verdict.ts';

/** The verdict of `decide`, with its reasons. @param request null for a TCP connection */
export function explain(
  rules: RuleSet,
  connection: ConnectionFacts,
  request: RequestFacts | null,
): Explanation {
  const verdict = decide(rules, connection, request);
  const byDefault = !verdict.allowed && verdict.decidedBy === 'NONE';
  const nearest = byDefault ? findNearest(rules, connection, request) : null;
  return {
    verdict,
    summary: describe(rules, verdict) + (nearest === null ? '' : `; ${describeNearest(nearest)}`),
    at: atOf(rules, verdict),
    nearest,
    audited: audited(rules, connection, request),
    dryRun: explainDryRuns(rules, connection, request),
  };
}

/** What policies under trial would have said of the call, one sentence each. @param request null for a TCP connection */
export function explainDryRuns(
  rules: RuleSet,
  connection: ConnectionFacts,
  request: RequestFacts | null,
): readonly string[] {
  return rules.dryRuns.map((dryRun) => describeDryRun(dryRun, connection, request));
}

/** A verdict in one sentence, with where its rule is written: `denied by shop/no-admin rule 0 (shop.yaml:41)`. */
export function describe(rules: RuleSet, verdict: Verdict): string {
  const named = `${verdict.namespace}/${verdict.policy} rule ${verdict.rule}`;
  const at = atOf(rules, verdict);
  const where = at === null ? named : `${named} (${at})`;
  if (verdict.decidedBy === 'CUSTOM') return describeCustom(rules, verdict, where);
  if (verdict.decidedBy !== 'NONE') {
    return verdict.allowed ? `allowed by ${where}` : `denied by ${where}`;
  }
  if (verdict.allowed) return 'allowed: no DENY rule matches, and no ALLOW policy applies';
  const count = rules.allowPolicies;
  if (count === 1) return 'denied: no rule of the one ALLOW policy that applies matches';
  return `denied: no rule of the ${count} ALLOW policies that apply matches`;
}

function describeCustom(rules: RuleSet, verdict: Verdict, where: string): string {
  const group = rules.custom.find(({ group }) =>
    group.rules.some((rule) => rule.verdict === verdict),
  );
  const name = group?.providerName ?? '';
  if (group === undefined || group.provider !== null) {
    return `denied by the authorizer ${name}, which ${where} asks`;
  }
  const reason =
    rules.custom.length > 1
      ? 'CUSTOM policies of this workload name different authorizers'
      : `no authorizer is called ${name}`;
  return `denied by ${where}: ${reason}`;
}

function describeNearest(nearest: NearMiss): string {
  const named = `${nearest.namespace}/${nearest.policy} rule ${nearest.rule}`;
  const where = nearest.at === null ? named : `${named} (${nearest.at})`;
  const misses = nearest.missed.map(
    ({ field, wanted, got }) => `${field} is ${got}, not ${wanted.join(' or ')}`,
  );
  return `nearest is ${where}: ${misses.join('; ')}`;
}

function describeDryRun(
  { policy, group }: DryRun,
  connection: ConnectionFacts,
  request: RequestFacts | null,
): string {
  const { namespace, name } = policy.metadata;
  const rule = findFirst(group, connection, request);
  const said = `${namespace}/${name} (dry run, ${policy.spec.action})`;
  if (rule === null) return `${said} would not match`;
  return `${said} would ${effectOf(policy)} by rule ${rule.model.index}${placeOf(rule)}`;
}

function effectOf(policy: AuthorizationPolicy): string {
  switch (policy.spec.action) {
    case 'ALLOW':
      return 'allow';
    case 'DENY':
      return 'deny';
    case 'AUDIT':
      return 'audit';
    case 'CUSTOM':
      return `ask ${policy.spec.provider?.name ?? ''}`;
    default:
      return 'do nothing';
  }
}

function atOf(rules: RuleSet, verdict: Verdict): string | null {
  const rule = ruleOf(rules, verdict);
  if (rule === null) return null;
  return positionOf(rule.model.policy.origin, `spec.rules[${rule.model.index}]`);
}

function placeOf(rule: CompiledRule): string {
  const at = positionOf(rule.model.policy.origin, `spec.rules[${rule.model.index}]`);
  return at === null ? '' : ` (${at})`;
}

/** The rule that a verdict belongs to: verdicts are made one for each rule. */
function ruleOf(rules: RuleSet, verdict: Verdict): CompiledRule | null {
  const groups = [rules.deny, rules.allow, ...rules.custom.map(({ group }) => group)];
  for (const group of groups) {
    const found = group?.rules.find((rule) => rule.verdict === verdict);
    if (found !== undefined) return found;
  }
  return null;
}
