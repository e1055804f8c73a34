// The table of calls, as it looks in terminals of different widths.
import { stripVTControlCharacters } from 'node:util';

import { expect, test } from 'vitest';

import { type LiveResult, scenarioTable } from '#cli/up/scenario.ts';
import { accessLine } from '#cli/up/traffic.ts';

const result = (from: string, status: number, log: Record<string, unknown>): LiveResult => ({
  call: {
    name: 'x',
    from,
    to: 'payments/payments',
    port: 0,
    method: 'POST',
    path: '/api/v1/charges',
    host: '',
    headers: [],
  },
  reply: { status, headers: new Map(), body: '', failure: '', localPort: 1 },
  traceId: '0123456789abcdef0123456789abcdef',
  line: accessLine({ method: 'POST', response_code: status, ...log }),
  unsent: '',
});

const results = [
  result('billing/billing-sa', 201, {
    policy: 'payments/admit-billing',
    rule: 0,
    at: 'manifests/examples/shop/policies.yaml:32',
  }),
  result('web/web-sa', 403, {
    why: 'denied',
    nearest: {
      policy: 'payments/admit-billing',
      rule: 0,
      at: 'manifests/examples/shop/policies.yaml:32',
      missed: [
        {
          field: 'from.source.principals',
          wanted: ['cluster.local/ns/billing/sa/billing-sa'],
          got: 'cluster.local/ns/web/sa/web-sa',
        },
      ],
    },
  }),
];

test('a file gets every column, and no line is broken', () => {
  const lines = scenarioTable(results, { tty: false }).trimEnd().split('\n');
  expect(lines[0]).toMatch(/^CALLER +CALLED +REQUEST +RESULT +TRACE +DECIDED BY$/);
  expect(lines[1]).toMatch(/201 allowed +0123456789abcdef\w+ +payments\/admit-billing rule 0 \(/);
  expect(lines).toHaveLength(4);
});

test.each([80, 100, 120, 140])(
  'at %i columns no line is longer, and who decided is below',
  (columns) => {
    const lines = scenarioTable(results, { tty: true, columns }).trimEnd().split('\n');
    const plain = lines.map((line) => stripVTControlCharacters(line));
    expect(Math.max(...plain.map((line) => line.length))).toBeLessThanOrEqual(columns);
    expect(plain[0]?.includes('TRACE')).toBe(columns >= 120);
    expect(plain[0]).not.toContain('DECIDED BY');
    expect(plain[2]).toMatch(/^ {4}payments\/admit-billing rule 0/);
    expect(plain.join(' ').replaceAll(/ +/g, ' ')).toContain(
      'from.source.principals is cluster.local/ns/web/sa/web-sa, not cluster.local/ns/billing/sa/billing-sa',
    );
  },
);
