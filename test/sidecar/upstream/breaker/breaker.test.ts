import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import type { ExpressionBreaker } from '#api/traffic/destination.ts';
import { silentLog } from '#runtime/log.ts';
import { Breaker, type BreakerState } from '#sidecar/upstream/breaker/breaker.ts';
import { compileBreaker, refusalOf } from '#sidecar/upstream/breaker/compile.ts';
import { Observed } from '#sidecar/upstream/breaker/observed.ts';
import { CountWindow } from '#sidecar/upstream/breaker/window.ts';
import type { Outcome } from '#sidecar/upstream/outcome.ts';

const answer = (status: number, latencyMs = 1): Outcome => ({ status, fault: 'none', latencyMs });
const local: Outcome = { status: 0, fault: 'local', latencyMs: 1 };
const policy: ExpressionBreaker = {
  source: 'CircuitBreaker shop/payments',
  expression: 'ResponseCodeRatio(500, 600, 0, 600) > 0.5',
  checkMs: 100,
  fallbackMs: 10_000,
  recoveryMs: 10_000,
  status: 503,
};

test('a window counts the last ten seconds and no others', () => {
  const step = fc.record({ after: fc.nat(3000), cell: fc.nat(3) });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 100 }), (steps) => {
      const window = new CountWindow(4);
      const all: { second: number; cell: number }[] = [];
      let now = 0;
      for (const { after, cell } of steps) {
        now += after;
        window.add(cell, now);
        const second = Math.floor(now / 1000);
        all.push({ second, cell });
        const counted = all.filter((one) => one.second > second - 10);
        const wanted = [0, 1, 2, 3].map((i) => counted.filter((one) => one.cell === i).length);
        expect([...window.total]).toEqual(wanted);
      }
    }),
  );
});

test('quantiles of latency are right to 5 %', () => {
  const latencies = fc.array(fc.double({ min: 0.2, max: 60_000, noNaN: true }), {
    minLength: 1,
    maxLength: 200,
  });
  fc.assert(
    fc.property(latencies, fc.integer({ min: 1, max: 100 }), (all, quantile) => {
      const observed = new Observed();
      for (const latencyMs of all) observed.note(answer(200, latencyMs), 0);
      const rank = Math.ceil((all.length * quantile) / 100) - 1;
      const exact = all.toSorted((a, b) => a - b)[rank]!;
      const measured = observed.measure({ kind: 'latency', quantile }, 0);
      expect(measured).toBeGreaterThanOrEqual(exact * 0.999);
      expect(measured).toBeLessThanOrEqual(exact * 1.051);
    }),
  );
});

test('ratios are those of the last ten seconds; without calls there is nothing to compare', () => {
  const observed = new Observed();
  const errors = (nowMs: number): number => observed.measure({ kind: 'network-errors' }, nowMs);
  expect(errors(0)).toBeNaN();
  observed.note(answer(200), 0);
  observed.note(local, 0);
  observed.note(answer(502), 5000);
  observed.note(answer(500), 5000);
  expect(errors(5000)).toBe(0.5);
  expect(errors(12_000)).toBe(0.5);
  expect(errors(30_000)).toBeNaN();
});

test('a status is in a range that begins with it, and not in one that ends with it', () => {
  const observed = new Observed();
  for (const status of [200, 404, 500, 503, 599]) observed.note(answer(status), 0);
  const ratio = (from: number, to: number): number =>
    observed.measure({ kind: 'statuses', from, to, ofFrom: 0, ofTo: 600 }, 0);
  expect([ratio(500, 600), ratio(500, 503), ratio(404, 405)]).toEqual([0.6, 0.2, 0.2]);
});

test('it opens when its condition holds, comes back in a growing part, and closes', () => {
  const states: BreakerState[] = [];
  let holds = true;
  const breaker = new Breaker(
    policy,
    () => holds,
    (state) => void states.push(state),
  );
  breaker.note(answer(500), 100);
  expect(states).toEqual(['open']);
  expect(breaker.allows(10_099)).toBe(false);
  holds = false;
  const parts: number[] = [];
  for (let second = 0; second < 10; second += 1) {
    let allowed = 0;
    for (let i = 0; i < 1000; i += 1) if (breaker.allows(10_100 + second * 1000 + i)) allowed += 1;
    parts.push(allowed / 1000);
  }
  expect(states).toEqual(['open', 'recovering']);
  // Of each second's calls the part of the recovery that has passed.
  parts.forEach((part, i) => expect(Math.abs(part - (i + 0.5) / 10)).toBeLessThan(0.02));
  expect(breaker.allows(20_100)).toBe(true);
  expect(states).toEqual(['open', 'recovering', 'closed']);
  expect(breaker.opened).toBe(1);
});

test('what fails while it recovers opens it again', () => {
  const breaker = compileBreaker(policy, 'payments', silentLog)!;
  breaker.note(answer(500), 1000);
  expect(breaker.state).toBe('open');
  expect(breaker.allows(12_000)).toBe(false);
  expect([17_900, 17_950, 18_000].map((nowMs) => breaker.allows(nowMs))).toContain(true);
  expect(breaker.state).toBe('recovering');
  breaker.note(answer(500), 18_000);
  expect(breaker.state).toBe('open');
  expect(breaker.opened).toBe(2);
});

test('answers of calls that began before it opened do not keep it open', () => {
  const breaker = compileBreaker(policy, 'payments', silentLog)!;
  breaker.note(answer(500), 1000);
  breaker.note(answer(500), 5000);
  breaker.allows(11_000);
  expect(breaker.state).toBe('recovering');
});

test('a breaker that cannot be read lets all calls go on', () => {
  expect(compileBreaker({ ...policy, expression: 'Nonsense() >' }, 'c', silentLog)).toBe(null);
});

test('callers get the status of the policy and the name of the breaker', () => {
  expect(refusalOf({ ...policy, status: 429 })).toMatchObject({
    status: 429,
    flag: 'UO',
    details: 'circuit_breaker_open{CircuitBreaker shop/payments}',
    close: false,
  });
});
