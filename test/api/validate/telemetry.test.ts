import { expect, test } from 'vitest';

import { said } from './saying.ts';

test.each([
  '{}',
  '{ tracing: [{ randomSamplingPercentage: 0.5, customTags: { a: { environment: { name: HOME } } } }] }',
  '{ metrics: [{ overrides: [{ match: { mode: CLIENT }, tagOverrides: { a: { value: request.host } } }], reportingInterval: 5s }] }',
  '{ accessLogging: [{ match: { mode: SERVER }, disabled: true, filter: { expression: "response.code >= 400" } }] }',
  '{ tracing: [{ customTags: { a: { formatter: { value: "%REQ(X-A):8% %RESPONSE_CODE%" } } } }] }',
])('%s is valid', (spec) => {
  expect(said('Telemetry', spec)).toEqual([]);
});

test.each([
  [
    '{ tracing: [{ randomSamplingPercentage: 101 }] }',
    'randomSamplingPercentage: 101 is not from 0 to 100',
  ],
  [
    '{ tracing: [{ providers: [{ name: a }, { name: b }] }] }',
    'only one provider of traces is used',
  ],
  [
    '{ tracing: [{ customTags: { a: {} } }] }',
    'the tag "a" has none of literal, environment, header and formatter',
  ],
  [
    '{ tracing: [{ customTags: { a: { literal: { value: x }, header: { name: x-y } } } }] }',
    'the tag "a" has several of literal, environment, header and formatter',
  ],
  [
    '{ tracing: [{ useRequestIdForTraceSampling: true }] }',
    'warning: useRequestIdForTraceSampling has no effect: traces are sampled by their own id',
  ],
  [
    '{ metrics: [{ overrides: [{ tagOverrides: { a-b: { value: "1" } } }] }] }',
    '"a-b" is no name of a label',
  ],
  [
    '{ metrics: [{ overrides: [{ tagOverrides: { a: {} } }] }] }',
    'the label "a" is to be set, and has no value',
  ],
  [
    '{ metrics: [{ overrides: [{ tagOverrides: { a: { operation: REMOVE, value: x } } }] }] }',
    'the label "a" is to be left out, and has a value',
  ],
  [
    '{ metrics: [{ overrides: [{ match: { customMetric: mine } }] }] }',
    'warning: sidecars have no metric "mine"',
  ],
  [
    '{ metrics: [{ reportingInterval: often }] }',
    'reportingInterval: "often" is no duration: write it as 5s or 500ms',
  ],
  [
    '{ accessLogging: [{ filter: { expression: "response.code >= " } }] }',
    'expression, character 18: expected a value, and found the end',
  ],
  [
    '{ accessLogging: [{ filter: { expression: "response.cod >= 400" } }] }',
    'warning: expression, character 10: a sidecar has no attribute response.cod: it is never there',
  ],
  [
    '{ metrics: [{ overrides: [{ tagOverrides: { a: { value: "request.host(" } } }] }] }',
    'expression, character 14: expected a value, and found the end',
  ],
  [
    '{ tracing: [{ customTags: { a: { formatter: { value: "%RESPONSE_COD%" } } } }] }',
    'formatter, character 1: there is no operator %RESPONSE_COD%',
  ],
])('%s: %s', (spec, words) => {
  expect(said('Telemetry', spec)).toEqual([words]);
});
