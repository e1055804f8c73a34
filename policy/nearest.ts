// Finds the ALLOW rule that came nearest to matching a call, and what it missed.
import type { AuthorizationPolicy } from '#api/kinds/authorization-policy.ts';

import type { Condition } from './conditions/condition.ts';
import type { ConnectionFacts, RequestFacts } from './facts.ts';
import { positionOf } from './position.ts';
import type { Clause, UnknownKey } from './rule.ts';
import type { DroppedRule, RuleSet } from './rule-set.ts';
import type { Miss, NearMiss } from './verdict.ts';

/** The rule with the most fields that match; of equals the one with the fewest that miss, then the first by name. */
export function findNearest(
  rules: RuleSet,
  connection: ConnectionFacts,
  request: RequestFacts | null,
): NearMiss | null {
  let nearest: NearMiss | null = null;
  const offer = (miss: NearMiss): void => {
    if (nearest === null || isNearer(miss, nearest)) nearest = miss;
  };
  for (const { model, froms, tos } of rules.allow?.rules ?? []) {
    offer(measure(model.policy, model.index, froms, tos, connection, request));
  }
  for (const dropped of rules.dropped) {
    if (dropped.policy.spec.action !== 'ALLOW' || !isEnforced(rules, dropped)) continue;
    offer(measureDropped(dropped, connection, request));
  }
  return nearest;
}

interface Fit {
  readonly matched: readonly Condition[];
  readonly missed: readonly Condition[];
}

function isNearer(a: NearMiss, b: NearMiss): boolean {
  if (a.matched.length !== b.matched.length) return a.matched.length > b.matched.length;
  return a.missed.length < b.missed.length;
}

/** A rule of a policy under trial is dropped too, but nothing would come of it anyway. */
function isEnforced(rules: RuleSet, { policy }: DroppedRule): boolean {
  return rules.dryRuns.every((dryRun) => dryRun.policy !== policy);
}

/** How much of one rule a call matches. */
export function measure(
  policy: AuthorizationPolicy,
  index: number,
  froms: readonly Clause[],
  tos: readonly Clause[],
  connection: ConnectionFacts,
  request: RequestFacts | null,
): NearMiss {
  const who = bestFit(froms, connection, request);
  const what = bestFit(tos, connection, request);
  const missed = [...who.missed, ...what.missed];
  return {
    namespace: policy.metadata.namespace,
    policy: policy.metadata.name,
    rule: index,
    at: positionOf(policy.origin, `spec.rules[${index}]`),
    matched: [...who.matched, ...what.matched].map(({ field }) => field),
    missed: missed.map((condition) => missOf(policy, condition, connection, request)),
  };
}

/** What dropped the rule is among its misses, whichever of its clauses fits best. */
export function measureDropped(
  { policy, index, model, condition, unknown }: DroppedRule,
  connection: ConnectionFacts,
  request: RequestFacts | null,
): NearMiss {
  const near = measure(policy, index, model?.froms ?? [], model?.tos ?? [], connection, request);
  const cause: Miss | null =
    condition !== null
      ? missOf(policy, condition, connection, request)
      : unknown !== null
        ? missOfKey(unknown)
        : null;
  if (cause === null || near.missed.some(({ field }) => field === cause.field)) return near;
  return { ...near, missed: [cause, ...near.missed] };
}

function missOfKey({ policy, key, path }: UnknownKey): Miss {
  const at = positionOf(policy.origin, path);
  return { field: `when[${key}]`, wanted: ['a key that Istio knows'], got: '(unknown key)', at };
}

function bestFit(
  clauses: readonly Clause[],
  connection: ConnectionFacts,
  request: RequestFacts | null,
): Fit {
  let best: Fit | null = null;
  for (const clause of clauses) {
    const fit = fitOf(clause, connection, request);
    const nearer =
      best === null ||
      fit.missed.length === 0 ||
      fit.matched.length > best.matched.length ||
      (fit.matched.length === best.matched.length && fit.missed.length < best.missed.length);
    if (nearer) best = fit;
    if (fit.missed.length === 0) break;
  }
  return best ?? { matched: [], missed: [] };
}

function fitOf(clause: Clause, connection: ConnectionFacts, request: RequestFacts | null): Fit {
  const matched: Condition[] = [];
  const missed: Condition[] = [];
  for (const condition of clause) {
    (meets(condition, connection, request) ? matched : missed).push(condition);
  }
  return { matched, missed };
}

function meets(
  condition: Condition,
  connection: ConnectionFacts,
  request: RequestFacts | null,
): boolean {
  if (condition.broken.length > 0 || condition.holds === null) return false;
  if (condition.attribute.http && request === null) return false;
  return condition.holds(connection, request);
}

function missOf(
  policy: AuthorizationPolicy,
  condition: Condition,
  connection: ConnectionFacts,
  request: RequestFacts | null,
): Miss {
  return {
    field: condition.field,
    wanted: condition.wanted,
    got: gotOf(condition, connection, request),
    at: positionOf(policy.origin, condition.path),
  };
}

function gotOf(
  condition: Condition,
  connection: ConnectionFacts,
  request: RequestFacts | null,
): string {
  const [broken] = condition.broken;
  if (broken !== undefined) return `(${broken} cannot be read, which drops the rule)`;
  if (condition.attribute.http && request === null) return '(TCP has none, which drops the rule)';
  return condition.attribute.got(connection, request) || '(none)';
}
