// The compiled engine against the naive interpreter, and the explanation against the decision.
import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import { compilePolicies } from '#policy/compile.ts';
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
      const { http, tcp } = compilePolicies(input);
      const wrong = those.flatMap(([c, r]) => [...faultsOf(http, c, r), ...faultsOf(tcp, c, null)]);
      expect(wrong).toEqual([]);
    }),
    { ...runs, numRuns: 300 },
  );
});

/** What is wrong with an explanation. */
function faultsOf(rules: RuleSet, c: ConnectionFacts, r: RequestFacts | null): string[] {
  const verdict = decide(rules, c, r);
  const { verdict: explained, summary, nearest } = explain(rules, c, r);
  const byDefault = !verdict.allowed && verdict.decidedBy === 'NONE';
  const faults: string[] = [];
  if (explained !== verdict) faults.push('another verdict');
  if (!summary.startsWith(describe(rules, verdict))) faults.push('another description');
  if (!summary.startsWith(verdict.allowed ? 'allowed' : 'denied')) faults.push('a false summary');
  if (nearest === null) return faults;
  if (!byDefault) faults.push('a nearest miss of a call that a rule decided');
  if (nearest.missed.length === 0) faults.push('a nearest rule that misses nothing');
  if (nearest.missed.some(({ got }) => got === '')) faults.push('a miss that says nothing');
  const rule = rules.allow?.rules.find(
    ({ verdict: own }) =>
      own.namespace === nearest.namespace &&
      own.policy === nearest.policy &&
      own.rule === nearest.rule,
  );
  if (rule === undefined) return faults;
  const conditions = [...rule.froms, ...rule.tos].flat();
  const falseMisses = nearest.missed.filter(
    ({ field, wanted }) =>
      !conditions.some(
        (one) => one.field === field && one.wanted === wanted && !clauseHolds([one], c, r),
      ),
  );
  return [...faults, ...falseMisses.map(({ field }) => `a false miss of ${field}`)];
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
