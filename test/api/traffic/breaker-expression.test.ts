import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import {
  breakerHolds,
  type BreakerExpression,
  type BreakerMetric,
  isFault,
  parseBreakerExpression,
} from '#api/traffic/breaker-expression.ts';

function parsed(text: string): BreakerExpression {
  const expression = parseBreakerExpression(text);
  if (isFault(expression)) throw new Error(`${text}: ${expression.fault}`);
  return expression;
}

function faultOf(text: string): string {
  const found = parseBreakerExpression(text);
  return isFault(found) ? `${found.at}: ${found.fault}` : 'none';
}

test('the expressions of Traefik are read', () => {
  expect(parsed('LatencyAtQuantileMS(50.0) > 100')).toEqual({
    kind: 'compare',
    metric: { kind: 'latency', quantile: 50 },
    operator: '>',
    value: 100,
  });
  expect(parsed('ResponseCodeRatio(500, 600, 0, 600)>0.25')).toEqual({
    kind: 'compare',
    metric: { kind: 'statuses', from: 500, to: 600, ofFrom: 0, ofTo: 600 },
    operator: '>',
    value: 0.25,
  });
  expect(parsed(' NetworkErrorRatio( ) >= .3 ')).toMatchObject({
    metric: { kind: 'network-errors' },
    operator: '>=',
    value: 0.3,
  });
});

test('&& binds closer than ||, and parentheses closer than both', () => {
  const a = 'NetworkErrorRatio() > 1';
  const b = 'NetworkErrorRatio() > 2';
  const c = 'NetworkErrorRatio() > 3';
  expect(parsed(`${a} || ${b} && ${c}`)).toMatchObject({ kind: 'or', right: { kind: 'and' } });
  expect(parsed(`(${a} || ${b}) && ${c}`)).toMatchObject({ kind: 'and', left: { kind: 'or' } });
  expect(parsed(`${a} AND ${b} OR ${c}`)).toMatchObject({ kind: 'or', left: { kind: 'and' } });
});

test('a fault says where it is', () => {
  expect(faultOf('')).toMatch(/^0: expected LatencyAtQuantileMS/);
  expect(faultOf('Latency(50) > 1')).toMatch(/^0: expected Latency/);
  expect(faultOf('NetworkErrorRatio() = 1')).toMatch(/^20: expected >, .* found "= 1"/);
  expect(faultOf('NetworkErrorRatio() > 0.3 &&')).toMatch(/^28: expected Latency/);
  expect(faultOf('(NetworkErrorRatio() > 0.3')).toBe('26: expected ), and found the end');
  expect(faultOf('NetworkErrorRatio() > 0.3)')).toBe('25: expected && or ||, and found ")"');
  expect(faultOf('LatencyAtQuantileMS(101) > 1')).toMatch(/^0: a quantile/);
  expect(faultOf('ResponseCodeRatio(600, 500, 0, 600) > 1')).toMatch(/^0: statuses go from/);
  expect(faultOf('ResponseCodeRatio(500, 600, 0) > 1')).toBe('29: expected ,, and found ") > 1"');
  expect(faultOf(`${'('.repeat(40)}NetworkErrorRatio() > 1${')'.repeat(40)}`)).toMatch(/^32|33/);
  expect(faultOf(' '.repeat(1001))).toMatch(/at most 1000/);
});

const metric: fc.Arbitrary<BreakerMetric> = fc.oneof(
  fc.integer({ min: 0, max: 100 }).map((quantile) => ({ kind: 'latency' as const, quantile })),
  fc.constant({ kind: 'network-errors' as const }),
  fc.constant({ kind: 'statuses' as const, from: 500, to: 600, ofFrom: 0, ofTo: 600 }),
);
const { expression } = fc.letrec<{ expression: BreakerExpression }>((tie) => ({
  expression: fc.oneof(
    { maxDepth: 4 },
    fc.record({
      kind: fc.constant('compare' as const),
      metric,
      operator: fc.constantFrom('>' as const, '>=', '<', '<=', '==', '!='),
      value: fc.integer({ min: -5, max: 5 }),
    }),
    fc.record({
      kind: fc.constantFrom('and' as const, 'or'),
      left: tie('expression'),
      right: tie('expression'),
    }),
  ),
}));

function written(one: BreakerExpression): string {
  if (one.kind !== 'compare') {
    return `(${written(one.left)} ${one.kind === 'and' ? '&&' : '||'} ${written(one.right)})`;
  }
  const { metric: m, operator, value } = one;
  const call =
    m.kind === 'latency'
      ? `LatencyAtQuantileMS(${m.quantile})`
      : m.kind === 'network-errors'
        ? 'NetworkErrorRatio()'
        : `ResponseCodeRatio(${m.from}, ${m.to}, ${m.ofFrom}, ${m.ofTo})`;
  return `${call} ${operator} ${value}`;
}

/** The same by sums: true is 1. */
function naive(one: BreakerExpression, value: number): boolean {
  if (one.kind !== 'compare') {
    const sum = Number(naive(one.left, value)) + Number(naive(one.right, value));
    return one.kind === 'and' ? sum === 2 : sum > 0;
  }
  const sign = Math.sign(value - one.value);
  const signs = { '>': [1], '>=': [0, 1], '<': [-1], '<=': [-1, 0], '==': [0], '!=': [-1, 1] };
  return signs[one.operator].some((wanted) => wanted === sign);
}

test('what is written is read as it was meant, and holds when it should', () => {
  fc.assert(
    fc.property(expression, fc.integer({ min: -6, max: 6 }), (one, value) => {
      const text = written(one);
      fc.pre(text.length <= 1000);
      expect(parsed(text)).toEqual(one);
      expect(breakerHolds(one, () => value)).toBe(naive(one, value));
    }),
  );
});

test('without calls nothing holds', () => {
  for (const operator of ['>', '<', '==', '!=']) {
    const one = parsed(`NetworkErrorRatio() ${operator} 0.5`);
    expect(breakerHolds(one, () => Number.NaN)).toBe(false);
  }
});

test('any text is read or refused', () => {
  const piece = fc.constantFrom(
    '(',
    ')',
    '&&',
    '||',
    '>',
    '<=',
    '0.5',
    ',',
    ' ',
    '1e9',
    'NetworkErrorRatio()',
    'LatencyAtQuantileMS(50.0)',
    'ResponseCodeRatio(500, 600, 0, 600)',
  );
  const text = fc.oneof(
    fc.string({ maxLength: 60 }),
    fc.array(piece, { maxLength: 20 }).map((pieces) => pieces.join('')),
  );
  fc.assert(
    fc.property(text, (one) => {
      const found = parseBreakerExpression(one);
      const again = isFault(found) ? found : parsed(written(found));
      expect(again).toEqual(found);
      const at = isFault(found) ? found.at : 0;
      expect(at).toBeLessThanOrEqual(one.length);
    }),
    { numRuns: 1000 },
  );
});
