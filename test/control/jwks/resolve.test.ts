import { expect, test } from 'vitest';

import type { JwtRule, RequestAuthentication } from '#api/kinds/request-authentication.ts';
import { KeyResolver, wantedKeys } from '#control/jwks/resolve.ts';

function authentication(...rules: Partial<JwtRule>[]): RequestAuthentication {
  return {
    apiVersion: 'security.istio.io/v1',
    kind: 'RequestAuthentication',
    metadata: { name: 'jwt', namespace: 'a', labels: {}, annotations: {} },
    spec: {
      jwtRules: rules.map((rule) => ({
        issuer: 'https://i',
        forwardOriginalToken: false,
        timeout: '5s',
        ...rule,
      })),
    },
    origin: { file: 'jwt.yaml', line: 1, lines: { 'spec.jwtRules[1].jwksUri': 12 } },
  };
}

test('rules with an address, with only an issuer, and with their own keys are told apart', () => {
  const policy = authentication(
    { jwks: '{"keys":[1]}' },
    { jwksUri: 'https://i/keys', timeout: '500ms' },
    { issuer: 'https://j' },
  );
  expect(wantedKeys([policy])).toEqual([
    { uri: 'https://i/keys', issuer: 'https://i', timeoutMs: 500 },
    { uri: '', issuer: 'https://j', timeoutMs: 5000 },
  ]);
});

test('fetched keys take the place of the address, and unchanged keys give the same object', () => {
  const resolver = new KeyResolver();
  const policy = authentication({ jwks: 'own' }, { jwksUri: 'https://i/keys' });
  const state = { keys: '{"keys":[{}]}', error: null };
  const first = resolver.resolve([policy], () => state).policies[0];
  expect(first?.spec.jwtRules.map((rule) => rule.jwks)).toEqual(['own', '{"keys":[{}]}']);
  expect(first?.spec.jwtRules[1]).not.toHaveProperty('jwksUri');
  expect(resolver.resolve([policy], () => state).policies[0]).toBe(first);
  const next = { keys: '{"keys":[{},{}]}', error: null };
  expect(resolver.resolve([policy], () => next).policies[0]).not.toBe(first);
});

test('where keys cannot be had, the rule gets none and a warning says where it is written', () => {
  const policy = authentication({ jwks: 'own' }, { jwksUri: 'https://i/keys' });
  const state = { keys: null, error: 'https://i/keys answered 503' };
  const { policies, problems } = new KeyResolver().resolve([policy], () => state);
  expect(policies[0]?.spec.jwtRules[1]?.jwks).toBe('{"keys":[]}');
  expect(problems).toEqual([
    {
      severity: 'warning',
      code: 'jwks-unavailable',
      message:
        'the keys of issuer "https://i" cannot be fetched: https://i/keys answered 503; its tokens are refused with 401',
      mend: expect.any(String),
      file: 'jwt.yaml',
      line: 12,
      resource: 'RequestAuthentication a/jwt',
    },
  ]);
});
