// Each algorithm against a naive one that remembers every request, in virtual time.
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { taken, type Algorithm } from '#sidecar/limit/algorithm.ts';
import { Concurrency } from '#sidecar/limit/concurrency.ts';
import { FixedWindow, SlidingCounter } from '#sidecar/limit/counts.ts';
import { ExactWindow } from '#sidecar/limit/exact-window.ts';
import { delayMaxMs, Meter } from '#sidecar/limit/meter.ts';
import { CalendarPeriods } from '#sidecar/limit/periods.ts';

const beginMs = Date.UTC(2026, 0, 31, 23, 0, 0);

/** Gaps of requests: bursts, and rests that are long for the limits below. */
const gaps = fc.array(
  fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 40 }), fc.integer({ min: 0, max: 3000 })),
  { minLength: 1, maxLength: 200, size: 'max' },
);

/** Times at which an algorithm admits. */
function admittedBy(algorithm: Algorithm, gapsMs: readonly number[], at = 3): number[] {
  const cells = new Float64Array(at + algorithm.stride);
  const times: number[] = [];
  let now = beginMs;
  for (const gap of gapsMs) {
    now += gap;
    if (algorithm.take(cells, at, now)) times.push(now);
  }
  expect(cells.subarray(0, at).every((cell) => cell === 0)).toBe(true);
  return times;
}

/** The times that a rule admits, which sees all that it admitted before. */
function admittedByRule(
  gapsMs: readonly number[],
  rule: (admitted: readonly number[], now: number) => boolean,
): number[] {
  const times: number[] = [];
  let now = beginMs;
  for (const gap of gapsMs) {
    now += gap;
    if (rule(times, now)) times.push(now);
  }
  return times;
}

describe('token bucket', () => {
  const options = fc.record({
    rate: fc.integer({ min: 1, max: 500 }),
    perMs: fc.integer({ min: 1, max: 5000 }),
    capacity: fc.integer({ min: 1, max: 20 }),
  });

  test('in any time at most the burst and the rate are admitted', () => {
    fc.assert(
      fc.property(options, gaps, ({ rate, perMs, capacity }, list) => {
        const meter = new Meter({ rate, perMs, capacity, delay: false });
        const times = admittedBy(meter, list);
        for (let first = 0; first < times.length; first++) {
          for (let last = first; last < times.length; last++) {
            const ms = (times[last] ?? 0) - (times[first] ?? 0);
            const most = Math.floor(capacity + (ms * rate) / perMs + 1e-5);
            expect(last - first + 1).toBeLessThanOrEqual(most);
          }
        }
      }),
    );
  });

  test('it is the bucket of the books, in whole numbers', () => {
    fc.assert(
      fc.property(options, gaps, ({ rate, perMs, capacity }, list) => {
        // Tokens times perMs, so that nothing is rounded.
        let tokens = capacity * perMs;
        let now = 0;
        let last = 0;
        const wanted: number[] = [];
        for (const gap of list) {
          now += gap;
          tokens = Math.min(capacity * perMs, tokens + (now - last) * rate);
          last = now;
          if (tokens < perMs) continue;
          tokens -= perMs;
          wanted.push(beginMs + now);
        }
        const meter = new Meter({ rate, perMs, capacity, delay: false });
        expect(admittedBy(meter, list)).toEqual(wanted);
      }),
    );
  });

  test('who waits for as long as it was told is admitted, and not a little before', () => {
    fc.assert(
      fc.property(options, gaps, ({ rate, perMs, capacity }, list) => {
        const meter = new Meter({ rate, perMs, capacity, delay: false });
        const cells = new Float64Array(2);
        let now = beginMs;
        for (const gap of list) {
          now += gap;
          if (meter.take(cells, 0, now)) continue;
          const { retryMs } = taken;
          const early = Float64Array.from(cells);
          const soonMs = now + retryMs - 0.1;
          expect(retryMs > 0.2 && meter.take(early, 0, soonMs)).toBe(false);
          expect(meter.take(Float64Array.from(cells), 0, now + retryMs + 1e-3)).toBe(true);
        }
      }),
    );
  });

  test('a clock that steps back admits nothing more', () => {
    const meter = new Meter({ rate: 1, perMs: 1000, capacity: 2, delay: false });
    const cells = new Float64Array(2);
    expect(meter.take(cells, 0, beginMs)).toBe(true);
    expect(meter.take(cells, 0, beginMs - 5000)).toBe(true);
    expect(meter.take(cells, 0, beginMs - 1)).toBe(false);
    expect(meter.take(cells, 0, beginMs)).toBe(false);
    expect(meter.take(cells, 0, beginMs + 1000)).toBe(true);
  });
});

describe('leaky bucket', () => {
  test('requests that wait leave at even times, and no more than burst wait', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 20 }), gaps, (burst, list) => {
        const everyMs = 50;
        const meter = new Meter({ rate: 20, perMs: 1000, capacity: burst + 1, delay: true });
        const cells = new Float64Array(2);
        let now = beginMs;
        let free = 0;
        for (const gap of list) {
          now += gap;
          const turn = Math.max(now, free);
          const admitted = meter.take(cells, 0, now);
          expect(admitted).toBe(turn - now <= burst * everyMs);
          if (!admitted) continue;
          expect(now + taken.delayMs).toBeCloseTo(turn, 2);
          free = turn + everyMs;
        }
      }),
    );
  });

  test('without delay a request is admitted in the same cases, and waits for nothing', () => {
    fc.assert(
      fc.property(gaps, (list) => {
        const options = { rate: 7, perMs: 1000, capacity: 4 };
        const waiting = admittedBy(new Meter({ ...options, delay: true }), list);
        expect(admittedBy(new Meter({ ...options, delay: false }), list)).toEqual(waiting);
        expect(taken.delayMs).toBe(0);
      }),
    );
  });

  test('nobody waits longer than the bound, whatever the burst', () => {
    const meter = new Meter({ rate: 1, perMs: 1000, capacity: 1_000_000, delay: true });
    const cells = new Float64Array(2);
    let longest = 0;
    let admitted = 0;
    while (meter.take(cells, 0, beginMs)) {
      longest = Math.max(longest, taken.delayMs);
      admitted += 1;
    }
    expect(longest).toBe(delayMaxMs);
    expect(admitted).toBe(31);
  });
});

describe('windows', () => {
  const limits = fc.integer({ min: 1, max: 12 });
  const windows = fc.oneof(fc.integer({ min: 1, max: 2000 }), fc.constantFrom(1.5, 33.3, 1000 / 7));

  test('a fixed window admits its limit in each multiple of its length', () => {
    fc.assert(
      fc.property(limits, windows, gaps, (limit, windowMs, list) => {
        const wanted = admittedByRule(list, (admitted, now) => {
          const same = admitted.filter(
            (time) => Math.floor(time / windowMs) === Math.floor(now / windowMs),
          );
          return same.length < limit;
        });
        expect(admittedBy(new FixedWindow(limit, windowMs), list)).toEqual(wanted);
      }),
    );
  });

  test('an exact window admits its limit in the window that ends now', () => {
    fc.assert(
      fc.property(limits, windows, gaps, (limit, windowMs, list) => {
        const wanted = admittedByRule(
          list,
          (admitted, now) => admitted.filter((time) => time > now - windowMs).length < limit,
        );
        expect(admittedBy(new ExactWindow(limit, windowMs), list)).toEqual(wanted);
      }),
    );
  });

  test('an exact window knows what is left and when there is room again', () => {
    fc.assert(
      fc.property(limits, windows, gaps, (limit, windowMs, list) => {
        const window = new ExactWindow(limit, windowMs);
        const cells = new Float64Array(window.stride);
        const times: number[] = [];
        let now = beginMs;
        for (const gap of list) {
          now += gap;
          const admitted = window.take(cells, 0, now);
          if (admitted) times.push(now);
          expect(taken.remaining).toBe(
            limit - times.filter((time) => time > now - windowMs).length,
          );
          if (admitted) continue;
          const { retryMs } = taken;
          expect(window.take(Float64Array.from(cells), 0, now + retryMs - 1)).toBe(false);
          expect(window.take(Float64Array.from(cells), 0, now + retryMs)).toBe(true);
        }
      }),
    );
  });

  test('a weighted window follows its formula, and admits at most twice its limit in any window', () => {
    fc.assert(
      fc.property(limits, windows, gaps, (limit, windowMs, list) => {
        const wanted = admittedByRule(list, (admitted, now) => {
          const index = Math.floor(now / windowMs);
          const inWindow = (of: number): number =>
            admitted.filter((time) => Math.floor(time / windowMs) === of).length;
          const passed = (now - index * windowMs) / windowMs;
          return inWindow(index - 1) * (1 - passed) + inWindow(index) + 1 <= limit + 1e-6;
        });
        const times = admittedBy(new SlidingCounter(limit, windowMs), list);
        expect(times).toEqual(wanted);
        for (const time of times) {
          const within = times.filter((other) => other > time - windowMs && other <= time).length;
          expect(within).toBeLessThanOrEqual(2 * limit);
        }
      }),
    );
  });

  test('who waits for as long as a window said is admitted', () => {
    fc.assert(
      fc.property(limits, windows, gaps, (limit, windowMs, list) => {
        for (const window of [
          new FixedWindow(limit, windowMs),
          new SlidingCounter(limit, windowMs),
        ]) {
          const cells = new Float64Array(window.stride);
          let now = beginMs;
          for (const gap of list) {
            now += gap;
            if (window.take(cells, 0, now)) continue;
            const later = now + taken.retryMs + 1e-3;
            expect(window.take(Float64Array.from(cells), 0, later)).toBe(true);
          }
        }
      }),
    );
  });

  test('quotas begin anew with the day, the Monday, the month and the year, of leap years too', () => {
    const starts: readonly (readonly [
      'day' | 'week' | 'month' | 'year',
      string,
      string,
      string,
    ])[] = [
      ['day', '2028-02-29T23:59:59.999Z', '2028-02-29', '2028-03-01'],
      ['week', '2026-11-29T23:59:59.999Z', '2026-11-23', '2026-11-30'],
      ['week', '2026-11-30T00:00:00.000Z', '2026-11-30', '2026-12-07'],
      ['month', '2028-02-29T12:00:00.000Z', '2028-02-01', '2028-03-01'],
      ['month', '2026-12-31T23:59:59.999Z', '2026-12-01', '2027-01-01'],
      ['year', '2026-12-31T23:59:59.999Z', '2026-01-01', '2027-01-01'],
    ];
    for (const [unit, now, start, end] of starts) {
      const periods = new CalendarPeriods(unit);
      periods.seek(Date.parse(now));
      expect([unit, periods.startMs, periods.endMs]).toEqual([
        unit,
        Date.parse(start),
        Date.parse(end),
      ]);
    }
    const quota = new FixedWindow(2, 30 * 86_400_000, new CalendarPeriods('month'));
    const cells = new Float64Array(2);
    const lastOfJanuary = Date.UTC(2026, 0, 31, 23, 59, 59);
    expect([0, 1, 2].map(() => quota.take(cells, 0, lastOfJanuary))).toEqual([true, true, false]);
    expect(taken.retryMs).toBe(1000);
    expect(quota.take(cells, 0, lastOfJanuary + 1000)).toBe(true);
  });
});

describe('what is taken back', () => {
  const makers: readonly (readonly [string, () => Algorithm])[] = [
    ['token bucket', () => new Meter({ rate: 3, perMs: 1000, capacity: 5, delay: false })],
    ['fixed window', () => new FixedWindow(4, 700)],
    ['weighted window', () => new SlidingCounter(4, 700)],
    ['exact window', () => new ExactWindow(4, 700)],
    ['concurrency', () => new Concurrency(4)],
  ];

  test.each(makers)('a %s is as if the request had never come', (_, make) => {
    fc.assert(
      fc.property(
        gaps,
        fc.array(fc.boolean(), { minLength: 200, maxLength: 200 }),
        (list, back) => {
          const algorithm = make();
          const plain = make();
          const cells = new Float64Array(algorithm.stride);
          const without = new Float64Array(plain.stride);
          let now = beginMs;
          for (const [i, gap] of list.entries()) {
            now += gap;
            const admitted = algorithm.take(cells, 0, now);
            const copy = Float64Array.from(without);
            expect(admitted).toBe(plain.take(copy, 0, now));
            if (back[i] === true && admitted) algorithm.refund(cells, 0, now);
            else without.set(copy);
          }
        },
      ),
    );
  });

  test('an exact window gives back the time of the request, not of a later one', () => {
    const window = new ExactWindow(3, 100);
    const cells = new Float64Array(window.stride);
    for (const time of [10, 20, 30]) expect(window.take(cells, 0, beginMs + time)).toBe(true);
    window.refund(cells, 0, beginMs + 20);
    expect(window.take(cells, 0, beginMs + 40)).toBe(true);
    expect(window.take(cells, 0, beginMs + 109)).toBe(false);
    expect(window.take(cells, 0, beginMs + 110)).toBe(true);
    expect(window.take(cells, 0, beginMs + 129)).toBe(false);
    expect(window.take(cells, 0, beginMs + 130)).toBe(true);
  });

  test('what was taken in a period before is not given back to this one', () => {
    const window = new FixedWindow(1, 100);
    const cells = new Float64Array(2);
    const start = Math.ceil(beginMs / 100) * 100;
    expect(window.take(cells, 0, start + 99)).toBe(true);
    expect(window.take(cells, 0, start + 100)).toBe(true);
    window.refund(cells, 0, start + 99);
    expect(window.take(cells, 0, start + 101)).toBe(false);
  });
});

test('concurrency admits as many as are not under way', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 5 }), fc.array(fc.boolean()), (limit, arrivals) => {
      const concurrency = new Concurrency(limit);
      const cells = new Float64Array(1);
      let underWay = 0;
      const refused: number[] = [];
      for (const arrives of arrivals) {
        if (arrives) {
          if (concurrency.take(cells, 0)) underWay += 1;
          else refused.push(underWay);
        } else if (underWay > 0) {
          concurrency.refund(cells, 0);
          underWay -= 1;
        }
        expect(underWay).toBeLessThanOrEqual(limit);
      }
      expect(refused.every((count) => count === limit)).toBe(true);
    }),
  );
});

test('a key that is idle is as good as one that was never seen', () => {
  const makers = [
    new Meter({ rate: 3, perMs: 1000, capacity: 5, delay: true }),
    new FixedWindow(4, 700),
    new SlidingCounter(4, 700),
    new ExactWindow(4, 700),
  ];
  fc.assert(
    fc.property(gaps, fc.integer({ min: 0, max: 3000 }), (list, restMs) => {
      for (const algorithm of makers) {
        const cells = new Float64Array(algorithm.stride);
        let now = beginMs;
        for (const gap of list) algorithm.take(cells, 0, (now += gap));
        now += restMs;
        if (!algorithm.idle(cells, 0, now)) continue;
        const fresh = new Float64Array(algorithm.stride);
        for (let i = 0; i < 10; i++) {
          now += i;
          const admitted = algorithm.take(cells, 0, now);
          const { remaining, delayMs } = taken;
          expect(algorithm.take(fresh, 0, now)).toBe(admitted);
          expect([taken.remaining, taken.delayMs]).toEqual([remaining, delayMs]);
        }
      }
    }),
  );
});
