// Empty lists and rules: what they mean is seldom what they look like.
import type { AuthorizationPolicy, Rule } from '#api/kinds/authorization-policy.ts';
import { joinIndex } from '#api/origin.ts';
import type { Problem } from '#api/problem.ts';

import { isDryRun } from '../attach.ts';
import { type LintContext, warning } from './context.ts';

export function checkEmptiness(context: LintContext): Problem[] {
  return context.mesh.authorizationPolicies.flatMap((policy) => [
    ...noRules(policy),
    ...(policy.spec.rules ?? []).flatMap((rule, i) =>
      emptyLists(policy, rule, joinIndex('spec.rules', i)),
    ),
    ...ruleForAll(policy),
    ...allowsForOthers(policy, context),
  ]);
}

/** `spec: {}` is the known way to say it; an empty list looks like no restriction. */
function noRules(policy: AuthorizationPolicy): Problem[] {
  const { rules, action } = policy.spec;
  if (rules === undefined || rules.length > 0 || action !== 'ALLOW') return [];
  return [
    warning(policy, {
      code: 'allow-nothing',
      path: 'spec.rules',
      message: 'an ALLOW policy without rules allows nothing, and still counts: all is refused',
      mend: 'write `rules: [{}]` to allow everything, or leave out `rules` to say it plainly',
    }),
  ];
}

function ruleForAll(policy: AuthorizationPolicy): Problem[] {
  const { rules = [], action } = policy.spec;
  const at = rules.findIndex(isForAll);
  // Alone it is the known way to say "everything"; beside others it makes them pointless.
  if (at === -1 || rules.length === 1) return [];
  return [
    warning(policy, {
      code: 'rule-matches-all',
      path: joinIndex('spec.rules', at),
      message:
        'an empty rule matches every call: ' +
        `the other rules of this ${action} policy change nothing`,
      mend: 'remove the rule, or write what it is for; check the indentation below it',
    }),
  ];
}

/** ALLOW policies add up: none of them takes back what another gives. */
function allowsForOthers(policy: AuthorizationPolicy, context: LintContext): Problem[] {
  if (policy.spec.action !== 'ALLOW' || isDryRun(policy)) return [];
  const at = (policy.spec.rules ?? []).findIndex(isForAll);
  if (at === -1) return [];
  for (const workload of context.workloadsUnder(policy)) {
    const other = context.policiesOn(workload).find((one) => {
      const { action, rules = [] } = one.spec;
      return action === 'ALLOW' && !isDryRun(one) && !rules.some(isForAll);
    });
    if (other === undefined) continue;
    const { namespace, name } = other.metadata;
    return [
      warning(policy, {
        code: 'allow-overrides',
        path: joinIndex('spec.rules', at),
        message:
          `this rule allows every call, so ${namespace}/${name} restricts nothing on ` +
          `${workload.namespace}/${workload.name}: ALLOW policies add up`,
        mend: 'remove one of the two, or write the restriction as DENY',
      }),
    ];
  }
  return [];
}

function isForAll({ from = [], to = [], when = [] }: Rule): boolean {
  return from.length + to.length + when.length === 0;
}

function emptyLists(policy: AuthorizationPolicy, rule: Rule, at: string): Problem[] {
  const lists: [path: string, list: readonly unknown[] | undefined][] = [
    [`${at}.from`, rule.from],
    [`${at}.to`, rule.to],
    [`${at}.when`, rule.when],
  ];
  for (const [i, { source = {} }] of (rule.from ?? []).entries()) {
    const path = `${joinIndex(`${at}.from`, i)}.source`;
    for (const [field, list] of Object.entries(source)) lists.push([`${path}.${field}`, list]);
  }
  for (const [i, { operation = {} }] of (rule.to ?? []).entries()) {
    const path = `${joinIndex(`${at}.to`, i)}.operation`;
    for (const [field, list] of Object.entries(operation)) lists.push([`${path}.${field}`, list]);
  }
  return lists
    .filter(([, list]) => list?.length === 0)
    .map(([path]) =>
      warning(policy, {
        code: 'list-empty',
        path,
        message:
          `${path.split('.').at(-1)} is empty, which counts as not written: ` +
          'it restricts nothing',
        mend: 'add a value, or remove the line',
      }),
    );
}
