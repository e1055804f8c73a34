// What policies under trial would change, as `selvage dry-run` tells it.
import { expect, test } from 'vitest';

import { effectsOf } from '#cli/dry-run/effect.ts';
import { dryRun } from '#cli/dry-run.ts';

import { recorded } from './recording/calls.ts';
import { openFake } from './recording/fake-sidecars.ts';
import { testIo } from './output.ts';

const denies = 'shop/no (dry run, DENY) would deny by rule 0 (new.yaml:3)';
const deniesNot = 'shop/no (dry run, DENY) would not match';
const allows = 'shop/yes (dry run, ALLOW) would allow by rule 1 (new.yaml:9)';
const allowsNot = 'shop/yes (dry run, ALLOW) would not match';
const byDefault = {
  policy: null,
  rule: null,
  why: 'allowed: no DENY rule matches, and no ALLOW policy applies',
};
const refused = {
  verdict: 'deny',
  policy: null,
  why: 'denied: no rule of the one ALLOW policy that applies matches',
} as const;
const forbidden = { verdict: 'deny', policy: 'shop/x', why: 'denied by shop/x rule 0' } as const;

test.each([
  ['an allowed call that a DENY meets', recorded({ dryRun: [denies, allows] }), 'deny'],
  ['an allowed call that it does not meet', recorded({ dryRun: [deniesNot] }), 'none'],
  [
    'a call allowed by default that no ALLOW meets',
    recorded({ ...byDefault, dryRun: [allowsNot] }),
    'deny',
  ],
  [
    'a call allowed by default that one meets',
    recorded({ ...byDefault, dryRun: [allows] }),
    'none',
  ],
  ['a call that only another ALLOW meets', recorded({ dryRun: [allowsNot] }), 'uncovered'],
  [
    'a call refused by default that an ALLOW meets',
    recorded({ ...refused, dryRun: [allows] }),
    'allow',
  ],
  ['and a DENY too', recorded({ ...refused, dryRun: [allows, denies] }), 'none'],
  ['a call that a rule denies', recorded({ ...forbidden, dryRun: [allows] }), 'none'],
])('%s: %s', (_, call, effect) => {
  expect(effectsOf(call, null)?.effect).toBe(effect);
});

test('a policy alone, or none', () => {
  expect(effectsOf(recorded({ dryRun: [denies, allows] }), 'shop/yes')?.effect).toBe('none');
  expect(effectsOf(recorded({ dryRun: [denies] }), 'shop/other')).toBeNull();
  expect(effectsOf(recorded(), null)).toBeNull();
});

test('calls that would change are told with the rule, then how many there were', async () => {
  const lines = [recorded({ dryRun: [denies] }), recorded({ dryRun: [deniesNot] }), recorded()];
  const io = testIo();
  expect(await dryRun(['shop/cart'], io, openFake([{ pod: 'a', lines }]))).toBe(1);
  expect(io.out()).toBe(
    [
      'WOULD DENY   GET /api/items from shop/web-sa to shop/cart:8080',
      `    ${denies}`,
      '    now allowed by shop/wide rule 0 (old.yaml:9)',
      '',
    ].join('\n'),
  );
  expect(io.err()).toMatch(
    '3 calls, 2 of them to workloads with a policy under trial\n1 would be denied',
  );
});

test('none would change: status 0', async () => {
  const io = testIo();
  const lines = [recorded({ dryRun: [deniesNot] })];
  expect(await dryRun(['policy', 'shop/no'], io, openFake([{ pod: 'a', lines }]))).toBe(0);
  expect(io.err()).toMatch('none would change');
});

test.each([
  [['cart'], /is no NAMESPACE\/WORKLOAD/],
  [['policy'], /say which policy/],
  [['a/b', 'c/d'], /give one/],
])('%j is wrong usage', async (args, message) => {
  const io = testIo();
  expect(await dryRun(args, io, openFake([]))).toBe(2);
  expect(io.err()).toMatch(message);
});
