import { expect, test } from 'vitest';

import { statusesOf } from '#api/validate/health-check.ts';

import { said } from './saying.ts';

const expression = 'expression: NetworkErrorRatio() > 0.5';

test.each([
  ['CircuitBreaker', `{ host: a, ${expression} }`],
  ['CircuitBreaker', `{ host: a, ${expression}, checkPeriod: 1s, responseCode: 429 }`],
  ['HealthCheck', '{ host: a, tcp: {} }'],
  ['HealthCheck', '{ host: "*.local", grpc: {}, interval: 500ms }'],
  [
    'HealthCheck',
    '{ host: a, http: { path: /up?x=1, host: "b:80", expectedStatuses: [200, 201-299] } }',
  ],
])('a %s %s is valid', (kind, spec) => {
  expect(said(kind, spec)).toEqual([]);
});

test.each([
  ['CircuitBreaker', `{ ${expression} }`, 'host: a name is missing'],
  [
    'CircuitBreaker',
    '{ host: a, expression: "Foo() > 1" }',
    /^expression, character 1: expected Lat/,
  ],
  ['CircuitBreaker', '{ host: a }', /^expression, character 1: .* found the end$|expected/],
  [
    'CircuitBreaker',
    `{ host: a, ${expression}, fallbackDuration: 0s }`,
    'fallbackDuration: "0s" is less than 1ms',
  ],
  ['CircuitBreaker', `{ host: a, ${expression}, responseCode: 99 }`, /^spec.responseCode/],
  ['HealthCheck', '{ host: a }', 'a HealthCheck has one of http, tcp and grpc'],
  ['HealthCheck', '{ host: a, tcp: {}, grpc: {} }', 'a HealthCheck has one of http, tcp and grpc'],
  ['HealthCheck', '{ host: a, tcp: {}, timeout: x }', /^timeout: "x" is no duration/],
  ['HealthCheck', '{ host: a, tcp: {}, healthyThreshold: 0 }', 'healthyThreshold is at least 1'],
  ['HealthCheck', '{ host: a, http: { path: up } }', '"up" is no path'],
  ['HealthCheck', '{ host: a, http: { host: "a b" } }', '"a b" is no host'],
  [
    'HealthCheck',
    '{ host: a, http: { expectedStatuses: [2xx] } }',
    '"2xx" is no status and no range of statuses',
  ],
])('a %s %s: %s', (kind, spec, words) => {
  const found = said(kind, spec);
  expect(found).toHaveLength(1);
  expect(found[0]).toMatch(
    typeof words === 'string' ? new RegExp(`^${RegExp.escape(words)}$`) : words,
  );
});

test('statuses are one, or a range with both ends', () => {
  expect([204, '204', '200-299'].map(statusesOf)).toEqual([
    [204, 204],
    [204, 204],
    [200, 299],
  ]);
  expect(['299-200', '99', '600', '', '200-', '2000'].map(statusesOf)).toEqual(
    Array.from({ length: 6 }, () => null),
  );
});
