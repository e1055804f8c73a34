import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import type { CorsPolicy } from '#api/traffic/route.ts';
import type { ResponseView } from '#sidecar/exchange.ts';
import { allowOrigin, compileCors, corsOf, type CompiledCors } from '#sidecar/routing/cors.ts';

import { makeRequest, regexFactory } from './models.ts';

const regexes = await regexFactory();
const policy: CorsPolicy = {
  allowOrigins: [
    { kind: 'exact', value: 'https://a.example' },
    { kind: 'prefix', value: 'https://b.' },
    { kind: 'regex', value: String.raw`https://[a-z]+\.c\.example` },
  ],
  allowMethods: ['GET', 'PUT'],
  allowHeaders: ['x-a', 'x-b'],
  exposeHeaders: ['x-c'],
  maxAgeS: 60,
  allowCredentials: true,
};

const compile = (changes: Partial<CorsPolicy> = {}): CompiledCors =>
  compileCors({ ...policy, ...changes }, regexes);

function preflight(origin: string, more: [string, string][] = []): ReturnType<typeof makeRequest> {
  const headers: [string, string][] = [['access-control-request-method', 'PUT'], ...more];
  return makeRequest({ method: 'OPTIONS', headers: [['origin', origin], ...headers] });
}

test('a preflight of an origin that may is answered with all that the policy says', () => {
  expect(corsOf(compile(), preflight('https://a.example'))).toEqual({
    kind: 'preflight',
    headers:
      'access-control-allow-origin: https://a.example\r\n' +
      'access-control-allow-credentials: true\r\n' +
      'access-control-allow-methods: GET,PUT\r\n' +
      'access-control-allow-headers: x-a,x-b\r\n' +
      'access-control-max-age: 60\r\n',
  });
});

test('a star gives back what a preflight asks for', () => {
  const cors = compile({ allowMethods: ['*'], allowHeaders: ['*'], allowCredentials: false });
  const asked = preflight('https://a.example', [['access-control-request-headers', 'x-z']]);
  expect(corsOf(cors, asked)).toMatchObject({
    headers: expect.stringContaining(
      'access-control-allow-methods: PUT\r\naccess-control-allow-headers: x-z\r\n',
    ),
  });
});

test('what the policy leaves out is left out; an age of 0 is not', () => {
  const cors = compileCors(
    { allowOrigins: policy.allowOrigins, allowMethods: [], allowHeaders: [], exposeHeaders: [] },
    regexes,
  );
  expect(corsOf(cors, preflight('https://a.example'))).toEqual({
    kind: 'preflight',
    headers: 'access-control-allow-origin: https://a.example\r\n',
  });
  expect(corsOf(compile({ maxAgeS: 0 }), preflight('https://a.example'))).toMatchObject({
    headers: expect.stringContaining('access-control-max-age: 0\r\n'),
  });
});

test('a preflight of another origin goes on, or is answered without an origin', () => {
  const asked = preflight('https://evil.example');
  expect(corsOf(compile(), asked)).toBeNull();
  const answer = corsOf(compile({ ignoreUnmatchedPreflights: true }), asked);
  expect(answer).toMatchObject({ kind: 'preflight' });
  expect(answer).not.toMatchObject({ headers: expect.stringContaining('allow-origin') });
});

test.each([
  ['https://a.example', true],
  ['https://a.example.evil', false],
  ['https://b.anything', true],
  ['https://x.c.example', true],
  ['https://x.c.example.evil', false],
  ['https://x-c.example', false],
  ['null', false],
])('%s may: %s', (origin, may) => {
  const outcome = corsOf(compile(), makeRequest({ headers: [['origin', origin]] }));
  expect(outcome).toEqual(may ? { kind: 'allowed', origin } : null);
});

test('a star among the origins means every one', () => {
  const cors = compile({ allowOrigins: [{ kind: 'exact', value: '*' }] });
  expect(corsOf(cors, makeRequest({ headers: [['origin', 'null']] }))).toMatchObject({
    origin: 'null',
  });
});

test('OPTIONS without a method asked for is no preflight, and no origin means no CORS', () => {
  const headers: [string, string][] = [['origin', 'https://a.example']];
  expect(corsOf(compile(), makeRequest({ method: 'OPTIONS', headers }))?.kind).toBe('allowed');
  expect(corsOf(compile(), preflight(''))).toBeNull();
});

test("the application's own headers of CORS give way", () => {
  const lines: [string, string][] = [
    ['access-control-allow-origin', '*'],
    ['x-d', '1'],
  ];
  const response: ResponseView = {
    status: 200,
    values: () => [],
    remove: (name) => lines.splice(0, lines.length, ...lines.filter((line) => line[0] !== name)),
    append: (name, value) => lines.push([name, value]),
  };
  allowOrigin(compile(), 'https://a.example', response);
  expect(lines).toEqual([
    ['x-d', '1'],
    ['access-control-allow-origin', 'https://a.example'],
    ['access-control-allow-credentials', 'true'],
    ['access-control-expose-headers', 'x-c'],
  ]);
});

test('no origin breaks out of its line', () => {
  const cors = compile({ allowOrigins: [{ kind: 'prefix', value: '' }], allowMethods: ['*'] });
  const anyText = fc
    .array(fc.integer({ min: 0, max: 0xffff }), { minLength: 1, maxLength: 20 })
    .map((units) => String.fromCharCode(...units));
  fc.assert(
    fc.property(anyText, (origin) => {
      const outcome = corsOf(cors, preflight(origin));
      if (outcome?.kind !== 'preflight') throw new Error('no answer');
      const bytes = Buffer.from(outcome.headers, 'latin1').toString('latin1');
      expect(bytes.split(/[\r\n\0]+/)).toHaveLength(6);
    }),
  );
});
