// RateLimit as it is written: what is taken, what is refused and in which words, and what a CRD asks.
import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import { customResourceDefinitions } from '#api/crd/definition.ts';
import { loadText } from '#api/load.ts';
import type { RateLimitSpec } from '#api/kinds/rate-limit.ts';

function load(spec: string): ReturnType<typeof loadText> {
  const text = `apiVersion: selvage.dev/v1alpha1
kind: RateLimit
metadata: { name: calls, namespace: shop }
spec: ${spec}
`;
  return loadText(text, 'limits.yaml');
}

/** A limit with more fields, as YAML flow text. */
function withLimit(fields: string, more = ''): string {
  return `{ limits: [{ name: one, ${fields} }]${more} }`;
}

const bucket = 'tokenBucket: { rate: 10 }';

test('what is left out has its defaults', () => {
  const { resources, problems } = load(withLimit(bucket));
  expect(problems).toEqual([]);
  expect((resources[0] as { spec: RateLimitSpec } | undefined)?.spec).toEqual({
    limits: [
      {
        name: 'one',
        tokenBucket: { rate: 10, per: '1s' },
        scope: 'local',
        enforce: true,
        maxKeys: 10_000,
      },
    ],
  });
});

test.each([
  ['no algorithm', 'match: [{ paths: [/] }]', 'a limit has one algorithm, and "one" has none'],
  [
    'two algorithms',
    `${bucket}, concurrency: { limit: 1 }`,
    'and "one" has tokenBucket and concurrency',
  ],
  ['a time that is none', 'tokenBucket: { rate: 1, per: often }', '"often" is no time from 1ms'],
  ['a window of nothing', 'fixedWindow: { limit: 1, window: 0s }', '"0s" is no time from 1ms'],
  [
    'an exact window of many',
    'slidingWindow: { limit: 5000, precision: exact }',
    '5000 are too many',
  ],
  [
    'exact windows of many keys',
    'key: [{ from: host }], maxKeys: 100000, slidingWindow: { limit: 1000, precision: exact }',
    'limit x maxKeys may be 20000000, and is 100000000',
  ],
  ['an empty list of matches', `${bucket}, match: []`, 'would mean everything'],
  ['an empty match', `${bucket}, match: [{}]`, 'would mean everything'],
  ['an empty list in a match', `${bucket}, match: [{ methods: [] }]`, 'methods has no value'],
  ['a bad template', `${bucket}, match: [{ paths: ["/a{*}"] }]`, 'brace'],
  ['a bad header', `${bucket}, match: [{ headers: { "a b": [x] } }]`, '"a b" is no header name'],
  [
    'a header without a name',
    `${bucket}, key: [{ from: header }]`,
    'a key from header needs its name',
  ],
  [
    'a field of another key',
    `${bucket}, key: [{ from: identity, name: x }]`,
    'a key from identity has no name',
  ],
  ['templates that are missing', `${bucket}, key: [{ from: pathTemplate }]`, 'needs templates'],
  [
    'an API key from two places',
    `${bucket}, key: [{ from: apiKey, name: x, query: q }]`,
    'not from both',
  ],
  [
    'a shared limit without Redis',
    `${bucket}, scope: shared`,
    'a shared limit is counted in Redis',
  ],
])('%s is told', (_, fields, words) => {
  const { problems } = load(withLimit(fields));
  const errors = problems.filter(({ severity }) => severity === 'error');
  expect(errors.map(({ message }) => message).join('\n')).toContain(words);
  expect(errors[0]).toMatchObject({ line: 4, resource: 'RateLimit shop/calls' });
});

test.each([
  [
    'two limits of one name',
    `{ limits: [{ name: a, ${bucket} }, { name: a, ${bucket} }] }`,
    'two limits "a"',
  ],
  ['a name with blanks', `{ limits: [{ name: "a b", ${bucket} }] }`, '"a b" is no name'],
  [
    'an address without a port',
    withLimit(`${bucket}, scope: shared`, ', redis: { address: redis }'),
    '"redis" is no host:port',
  ],
  [
    'a timeout of minutes',
    withLimit(`${bucket}, scope: shared`, ', redis: { address: "r:1", timeout: 1m }'),
    '"1m" is no time from 1ms to 10s',
  ],
  [
    'selector and target',
    withLimit(
      bucket,
      ', selector: { matchLabels: { a: b } }, targetRefs: [{ kind: Service, name: x }]',
    ),
    'only one of selector and targetRefs',
  ],
  [
    'a target that is no Service',
    withLimit(
      bucket,
      ', targetRefs: [{ kind: Gateway, group: gateway.networking.k8s.io, name: x }]',
    ),
    'attached to Services',
  ],
])('%s is refused', (_, spec, words) => {
  const { problems, resources } = load(spec);
  expect(resources).toEqual([]);
  expect(problems.map(({ message }) => message).join('\n')).toContain(words);
});

test.each([
  ['a local quota', withLimit('quota: { limit: 1, per: day }'), 'begins anew when the pod does'],
  ['a key of paths', withLimit(`${bucket}, key: [{ from: path }]`), 'as many as they like'],
  [
    'a Redis that nothing uses',
    withLimit(bucket, ', redis: { address: "r:1" }'),
    'Redis is not used',
  ],
])('%s is doubted, and taken', (_, spec, words) => {
  const { problems, resources } = load(spec);
  expect(resources).toHaveLength(1);
  expect(problems).toMatchObject([{ severity: 'warning', code: 'rate-limit-doubtful' }]);
  expect(problems[0]?.message).toContain(words);
});

test('whatever is written, it is taken or refused with a place, and nothing is thrown', () => {
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 4 }), fc.string(), (value, text) => {
      for (const spec of [
        value,
        { limits: [value] },
        { limits: [{ name: text, match: [value] }] },
      ]) {
        const { resources, problems } = load(JSON.stringify(spec));
        expect(
          resources.length === 1 || problems.some(({ severity }) => severity === 'error'),
        ).toBe(true);
      }
    }),
  );
});

test('the CRD is of our own group, stores its only version and asks for one algorithm', () => {
  const crd = customResourceDefinitions().find(
    ({ metadata }) => metadata.name === 'ratelimits.selvage.dev',
  );
  expect(crd?.spec).toMatchObject({
    group: 'selvage.dev',
    scope: 'Namespaced',
    names: { kind: 'RateLimit', plural: 'ratelimits', categories: ['selvage'] },
    versions: [{ name: 'v1alpha1', served: true, storage: true }],
  });
  expect(JSON.stringify(crd)).toContain('a limit has one algorithm');
});
