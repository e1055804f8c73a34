// The compiled engine against the naive interpreter, and the explanation against the decision.
import fc from 'fast-check';
import { expect, test } from 'vitest';

import { compilePolicies, type CompiledPolicies } from '#policy/compile.ts';
import { audited, decide } from '#policy/decide.ts';
import { describe, explain } from '#policy/explain.ts';
import type { ConnectionFacts, RequestFacts } from '#policy/facts.ts';
import { clauseHolds } from '#policy/rule-group.ts';
import type { RuleSet } from '#policy/rule-set.ts';
import type { Verdict } from '#policy/verdict.ts';

import { connectionFacts, policyInput, requestFacts } from './arbitrary.ts';
import { naiveAudited, naiveDecide } from './naive.ts';

const calls = fc.array(fc.tuple(connectionFacts, requestFacts), { minLength: 4, maxLength: 8 });
const runs = { numRuns: 500, seed: 20_260_827 };

test('compiled HTTP rules decide as the naive interpreter does', () => {
  fc.assert(
    fc.property(policyInput, calls, (input, those) => {
      const { http } = compilePolicies(input);
      for (const [c, r] of those) {
        expect(nameOf(decide(http, c, r))).toEqual(naiveDecide(input, c, r));
      }
    }),
    runs,
  );
});

test('compiled TCP rules decide as the naive interpreter does', () => {
  fc.assert(
    fc.property(policyInput, calls, (input, those) => {
      const { tcp } = compilePolicies(input);
      for (const [c] of those) {
        expect(nameOf(decide(tcp, c, null))).toEqual(naiveDecide(input, c, null));
      }
    }),
    runs,
  );
});

test('the AUDIT rules that match are those that the naive interpreter finds', () => {
  fc.assert(
    fc.property(policyInput, calls, (input, those) => {
      const { http, tcp } = compilePolicies(input);
      for (const [c, r] of those) {
        expect(audited(http, c, r)).toEqual(naiveAudited(input, c, r).map(plainName));
        expect(audited(tcp, c, null)).toEqual(naiveAudited(input, c, null).map(plainName));
      }
    }),
    { ...runs, numRuns: 200 },
  );
});

test('an explanation has the verdict of the decision, and its misses are misses', () => {
  fc.assert(
    fc.property(policyInput, calls, (input, those) => {
      const compiled = compilePolicies(input);
      for (const [c, r] of those) {
        checkExplanation(compiled, compiled.http, c, r);
        checkExplanation(compiled, compiled.tcp, c, null);
      }
    }),
    { ...runs, numRuns: 300 },
  );
});

function checkExplanation(
  _: CompiledPolicies,
  rules: RuleSet,
  c: ConnectionFacts,
  r: RequestFacts | null,
): void {
  const verdict = decide(rules, c, r);
  const explanation = explain(rules, c, r);
  expect(explanation.verdict).toBe(verdict);
  expect(explanation.summary.startsWith(describe(rules, verdict))).toBe(true);
  expect(explanation.summary.startsWith(verdict.allowed ? 'allowed' : 'denied')).toBe(true);
  const byDefault = !verdict.allowed && verdict.decidedBy === 'NONE';
  if (!byDefault) expect(explanation.nearest).toBeNull();
  if (explanation.nearest === null) return;
  const { nearest } = explanation;
  expect(nearest.missed.length).toBeGreaterThan(0);
  const rule = rules.allow?.rules.find(
    ({ verdict: own }) =>
      own.namespace === nearest.namespace &&
      own.policy === nearest.policy &&
      own.rule === nearest.rule,
  );
  if (rule === undefined) return;
  const fields = [...rule.froms, ...rule.tos].flat();
  for (const { field, got, wanted } of nearest.missed) {
    expect(got).not.toBe('');
    expect(
      fields.some(
        (one) => one.field === field && one.wanted === wanted && !clauseHolds([one], c, r),
      ),
    ).toBe(true);
  }
}

function nameOf(verdict: Verdict): { allowed: boolean; by: string } {
  const { namespace, policy, rule } = verdict;
  const by = rule === -1 ? 'none' : `ns[${namespace}]-policy[${policy}]-rule[${rule}]`;
  return { allowed: verdict.allowed, by };
}

function plainName(name: string): string {
  const [, namespace, policy, rule] = /^ns\[(.*)\]-policy\[(.*)\]-rule\[(.*)\]$/.exec(name) ?? [];
  return `${namespace}/${policy} rule ${rule}`;
}
