import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import { Limits, overflow } from '#sidecar/upstream/limit/limits.ts';

test('what a policy leaves out is without limit', () => {
  const limits = new Limits();
  limits.change({}, undefined);
  expect(limits.admit(1e9, 0)).toBe(null);
  expect(limits.beginRetry(0, 0)).toBe(true);
  expect(limits.admitConnection()).toBe(null);
});

test('a call over the limit gets 503 with the flag UO and keeps its connection', () => {
  const limits = new Limits();
  limits.change({ maxRequests: 2 }, undefined);
  expect(limits.admit(1, 0)).toBe(null);
  expect(limits.admit(2, 0)).toBe(overflow);
  expect(overflow).toMatchObject({ status: 503, flag: 'UO', close: false });
  expect(limits.refused).toMatchObject({ requests: 1, retries: 0 });
});

test('a connection of bytes over the limit is refused', () => {
  const limits = new Limits();
  limits.change({ maxConnections: 1 }, undefined);
  expect(limits.admitConnection()).toBe(null);
  limits.connections += 1;
  expect(limits.admitConnection()).toBe(overflow);
  limits.connections -= 1;
  expect(limits.admitConnection()).toBe(null);
});

test('retries at once are limited, and one that ended makes room', () => {
  const limits = new Limits();
  limits.change({ maxRetries: 1 }, undefined);
  expect(limits.beginRetry(10, 0)).toBe(true);
  expect(limits.beginRetry(10, 0)).toBe(false);
  limits.endRetry();
  expect(limits.beginRetry(10, 0)).toBe(true);
  expect(limits.refused.retries).toBe(1);
});

test('a retry that began before there were limits makes no room when it ends', () => {
  const limits = new Limits();
  limits.change({ maxRetries: 1 }, undefined);
  limits.endRetry();
  expect(limits.beginRetry(10, 0)).toBe(true);
  expect(limits.beginRetry(10, 0)).toBe(false);
});

test('a budget is a part of the calls under way, at least a few, and replaces the number', () => {
  const limits = new Limits();
  limits.change({ maxRetries: 1 }, { percent: 20, minConcurrency: 3, intervalMs: 0 });
  const granted = (active: number): number => {
    let count = 0;
    while (limits.beginRetry(active, 0)) count += 1;
    for (let i = 0; i < count; i += 1) limits.endRetry();
    return count;
  };
  expect(granted(0)).toBe(3);
  expect(granted(15)).toBe(3);
  expect(granted(50)).toBe(10);
});

test('with an interval the calls begun in it count, and are forgotten after it', () => {
  const limits = new Limits();
  limits.change({}, { percent: 10, minConcurrency: 1, intervalMs: 10_000 });
  for (let i = 0; i < 100; i += 1) limits.admit(0, 1000 + i);
  for (let i = 0; i < 10; i += 1) expect(limits.beginRetry(0, 2000)).toBe(true);
  expect(limits.beginRetry(0, 2000)).toBe(false);
  expect(limits.beginRetry(0, 40_000)).toBe(false);
  for (let i = 0; i < 10; i += 1) limits.endRetry();
  expect(limits.beginRetry(0, 40_000)).toBe(true);
  expect(limits.beginRetry(0, 40_000)).toBe(false);
});

test('any run of retries never has more at once than the limit of that moment', () => {
  fc.assert(
    fc.property(fc.nat(5), fc.array(fc.boolean(), { maxLength: 100 }), (maxRetries, steps) => {
      const limits = new Limits();
      limits.change({ maxRetries }, undefined);
      let open = 0;
      const seen: boolean[] = [];
      const wanted: boolean[] = [];
      for (const begins of steps) {
        if (begins) {
          const granted = limits.beginRetry(0, 0);
          seen.push(granted);
          wanted.push(open < maxRetries);
          if (granted) open += 1;
        } else if (open > 0) {
          limits.endRetry();
          open -= 1;
        }
      }
      expect(seen).toEqual(wanted);
    }),
  );
});
