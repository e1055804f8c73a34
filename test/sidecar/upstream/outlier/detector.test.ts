import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import type { OutlierDetection } from '#api/traffic/destination.ts';
import {
  OutlierDetector,
  type EjectionReason,
  type Monitor,
} from '#sidecar/upstream/outlier/detector.ts';
import type { Outcome } from '#sidecar/upstream/outcome.ts';

interface Fake {
  readonly name: string;
  monitor: Monitor | null;
  ejected: boolean;
}

const istio: OutlierDetection = {
  consecutive5xx: 5,
  consecutiveGatewayErrors: 0,
  splitLocalOrigin: false,
  consecutiveLocalOrigin: 5,
  intervalMs: 10_000,
  baseEjectionMs: 30_000,
  maxEjectionPercent: 10,
  minHealthPercent: 0,
};

const answer = (status: number): Outcome => ({ status, fault: 'none', latencyMs: 1 });
const local: Outcome = { status: 0, fault: 'local', latencyMs: 1 };
const broken: Outcome = { status: 200, fault: 'reset', latencyMs: 1 };
const abandoned: Outcome = { status: 0, fault: 'none', latencyMs: 1 };

function rig(change: Partial<OutlierDetection> = {}, count = 10) {
  const members: Fake[] = Array.from({ length: count }, (_, i) => ({
    name: String(i),
    monitor: null,
    ejected: false,
  }));
  const told: string[] = [];
  const detector = new OutlierDetector<Fake>({ ...istio, ...change }, () => members, {
    ejected: ({ name }, reason: EjectionReason, forMs) =>
      void told.push(`${name} ${reason} ${forMs}`),
    returned: ({ name }) => void told.push(`${name} back`),
  });
  const note = (member: number, outcome: Outcome, times: number, nowMs = 0): void => {
    for (let i = 0; i < times; i += 1) detector.note(members[member]!, outcome, nowMs);
  };
  return { members, told, detector, note };
}

test('one that has left is not ejected by the last of its calls', () => {
  const { members, told, note, detector } = rig();
  const [gone] = members;
  note(0, answer(500), 4);
  members.shift();
  detector.note(gone!, answer(500), 0);
  expect(told).toEqual([]);
  expect(detector.busy).toBe(false);
});

test('the fifth 5xx in a row ejects, a good answer between them begins anew', () => {
  const { told, note } = rig();
  note(0, answer(500), 4);
  note(0, answer(404), 1);
  note(0, answer(500), 4);
  expect(told).toEqual([]);
  note(0, answer(500), 1);
  expect(told).toEqual(['0 consecutive-5xx 30000']);
});

test('gateway errors count for themselves, and any other 5xx ends their row', () => {
  const { told, note } = rig({ consecutive5xx: 0, consecutiveGatewayErrors: 3 });
  note(0, answer(503), 2);
  note(0, answer(500), 1);
  note(0, answer(502), 2);
  expect(told).toEqual([]);
  note(0, answer(504), 1);
  expect(told).toEqual(['0 consecutive-gateway 30000']);
});

test('failures to connect and resets count as 5xx and as gateway errors unless they are split', () => {
  const { told, note } = rig({ consecutive5xx: 3, consecutiveGatewayErrors: 5 });
  note(0, local, 2);
  note(0, broken, 1);
  expect(told).toEqual(['0 consecutive-5xx 30000']);
  const gateway = rig({ consecutive5xx: 0, consecutiveGatewayErrors: 2 });
  gateway.note(4, local, 2);
  expect(gateway.told).toEqual(['4 consecutive-gateway 30000']);
});

test('split, they have a row of their own, which any answer ends', () => {
  const { told, note } = rig({ splitLocalOrigin: true, consecutiveLocalOrigin: 2 });
  note(0, local, 1);
  note(0, answer(500), 4);
  note(0, local, 1);
  expect(told).toEqual([]);
  note(0, local, 1);
  expect(told).toEqual(['0 consecutive-local-origin 30000']);
});

test('what the caller gave up says nothing', () => {
  const { told, note } = rig();
  note(0, answer(500), 4);
  note(0, abandoned, 100);
  note(0, answer(500), 1);
  expect(told).toEqual(['0 consecutive-5xx 30000']);
});

test('statuses of one own choice replace 500 to 599', () => {
  const { told, note } = rig({ statuses: [429], consecutive5xx: 2, consecutiveGatewayErrors: 2 });
  note(0, answer(503), 10);
  expect(told).toEqual([]);
  note(0, answer(429), 2);
  expect(told).toEqual(['0 consecutive-5xx 30000']);
});

test('it returns at the first sweep after its time, stays longer the next time, and is forgiven sweep by sweep', () => {
  const { told, detector, note } = rig();
  note(0, answer(500), 5, 1000);
  detector.sweep(30_999);
  expect(told).toHaveLength(1);
  detector.sweep(31_000);
  expect(told.splice(0)).toEqual(['0 consecutive-5xx 30000', '0 back']);
  note(0, answer(500), 5, 32_000);
  expect(told.splice(0)).toEqual(['0 consecutive-5xx 60000']);
  detector.sweep(92_000);
  expect(told.splice(0)).toEqual(['0 back']);
  expect(detector.busy).toBe(true);
  detector.sweep(102_000);
  detector.sweep(112_000);
  expect(detector.busy).toBe(false);
  note(0, answer(500), 5, 120_000);
  expect(told).toEqual(['0 consecutive-5xx 30000']);
});

test('no ejection lasts longer than 300 s, or the base time where that is longer', () => {
  const { told, detector, note } = rig({ baseEjectionMs: 200_000 });
  for (let i = 0; i < 5; i += 1) {
    note(0, answer(500), 5, i * 1e6);
    detector.sweep(i * 1e6 + 500_000);
  }
  const lengths = told.filter((line) => !line.endsWith('back')).map((line) => line.split(' ')[2]);
  expect(lengths).toEqual(['200000', '300000', '300000', '300000', '300000']);
  const long = rig({ baseEjectionMs: 900_000 });
  long.note(0, answer(500), 5);
  expect(long.told).toEqual(['0 consecutive-5xx 900000']);
});

test('one of three may go at 10 %, no second one', () => {
  const { members, note } = rig({}, 3);
  note(0, answer(500), 5);
  note(1, answer(500), 50);
  expect(members.map(({ ejected }) => ejected)).toEqual([true, false, false]);
});

test('at 0 % nobody goes', () => {
  const { told, note } = rig({ maxEjectionPercent: 0 });
  note(0, answer(500), 50);
  expect(told).toEqual([]);
});

test('a member restored before its time begins anew', () => {
  const { members, told, detector, note } = rig();
  note(0, answer(500), 7);
  detector.restore(members[0]!);
  note(0, answer(500), 4);
  expect(told).toEqual(['0 consecutive-5xx 30000', '0 back']);
});

/** Envoy's rules as plainly as they can be written: a list of what happened to each member. */
class Naive {
  rows = new Map<number, { fivexx: number; gateway: number; local: number }>();
  ejected = new Map<number, { at: number; multiplier: number }>();
  multipliers = new Map<number, number>();
  readonly policy: OutlierDetection;
  readonly count: number;
  constructor(policy: OutlierDetection, count: number) {
    this.policy = policy;
    this.count = count;
  }

  note(member: number, outcome: Outcome, now: number): void {
    const row = this.rows.get(member) ?? { fivexx: 0, gateway: 0, local: 0 };
    this.rows.set(member, row);
    const isLocal = outcome.fault !== 'none';
    if (!isLocal && outcome.status === 0) return;
    if (isLocal && this.policy.splitLocalOrigin) {
      row.local += 1;
      if (row.local === this.policy.consecutiveLocalOrigin) {
        row.local = 0;
        this.eject(member, now);
      }
      return;
    }
    const status = isLocal ? 503 : outcome.status;
    if (status < 500) {
      this.rows.delete(member);
      return;
    }
    if (!isLocal) row.local = 0;
    row.gateway = status >= 502 && status <= 504 ? row.gateway + 1 : 0;
    row.fivexx += 1;
    if (row.gateway > 0 && row.gateway === this.policy.consecutiveGatewayErrors) {
      row.gateway = 0;
      this.eject(member, now);
    }
    if (row.fivexx === this.policy.consecutive5xx) {
      row.fivexx = 0;
      this.eject(member, now);
    }
  }

  eject(member: number, now: number): void {
    if (this.ejected.has(member)) return;
    const after = this.ejected.size + 1;
    if (after > 1 && (after * 100) / this.count > this.policy.maxEjectionPercent) return;
    const multiplier = (this.multipliers.get(member) ?? 0) + 1;
    this.multipliers.set(member, multiplier);
    this.ejected.set(member, { at: now, multiplier });
  }

  sweep(now: number): void {
    for (let member = 0; member < this.count; member += 1) {
      const out = this.ejected.get(member);
      const multiplier = this.multipliers.get(member) ?? 0;
      if (out === undefined) this.multipliers.set(member, Math.max(0, multiplier - 1));
      else if (now - out.at >= this.policy.baseEjectionMs * out.multiplier) {
        this.ejected.delete(member);
        this.rows.delete(member);
      }
    }
  }
}

test('any history ejects and returns whom the rules say, never more than the limit', () => {
  const outcomes = fc.constantFrom(answer(200), answer(500), answer(503), local, broken, abandoned);
  const step = fc.oneof(
    { weight: 20, arbitrary: fc.record({ member: fc.nat(5), outcome: outcomes }) },
    { weight: 1, arbitrary: fc.constant('sweep' as const) },
  );
  const policy = fc.record({
    consecutive5xx: fc.nat(4),
    consecutiveGatewayErrors: fc.nat(3),
    splitLocalOrigin: fc.boolean(),
    consecutiveLocalOrigin: fc.integer({ min: 1, max: 3 }),
    maxEjectionPercent: fc.integer({ min: 1, max: 100 }),
  });
  fc.assert(
    fc.property(policy, fc.array(step, { maxLength: 300 }), (change, steps) => {
      const { members, detector } = rig({ ...change, baseEjectionMs: 20_000 }, 6);
      const naive = new Naive(detector.policy, 6);
      let now = 0;
      for (const one of steps) {
        if (one === 'sweep') {
          now += 10_000;
          detector.sweep(now);
          naive.sweep(now);
        } else {
          detector.note(members[one.member]!, one.outcome, now);
          naive.note(one.member, one.outcome, now);
        }
        const out = members.flatMap(({ ejected }, i) => (ejected ? [i] : []));
        expect(out).toEqual([...naive.ejected.keys()].toSorted((a, b) => a - b));
        const limit = Math.max(1, (6 * change.maxEjectionPercent) / 100);
        expect(out.length).toBeLessThanOrEqual(limit);
      }
    }),
    { numRuns: 200 },
  );
});
