// CUSTOM policies: who is asked, and what is denied without asking.
import { expect, test } from 'vitest';

import { decideCustom } from '#policy/decide.ts';
import { describe } from '#policy/explain.ts';

import { authorization, compile, connection, request } from './making.ts';

const http = { service: 'authz.shop.svc.cluster.local', port: 8000 };
const extensionProviders = [
  { name: 'ext', envoyExtAuthzHttp: http },
  { name: 'grpc', envoyExtAuthzGrpc: http },
];
const asking = (name: string, path: string) =>
  authorization(`ask-${name}`, {
    action: 'CUSTOM',
    provider: { name },
    rules: [{ to: [{ operation: { paths: [path] } }] }],
  });
const a = request({ path: '/a' });

test('a call that a CUSTOM rule means is for its authorizer', () => {
  const { http: rules } = compile([asking('ext', '/a')], { extensionProviders });
  const match = decideCustom(rules, connection(), a);
  expect(match?.provider?.name).toBe('ext');
  expect(match?.verdict).toMatchObject({
    allowed: false,
    decidedBy: 'CUSTOM',
    policy: 'ask-ext',
    details: 'ext_authz_denied',
  });
  expect(describe(rules, match?.verdict ?? fail())).toBe(
    'denied by the authorizer ext, which shop/ask-ext rule 0 asks',
  );
  expect(decideCustom(rules, connection(), request({ path: '/b' }))).toBeNull();
});

test('an unknown authorizer denies what it would have been asked about', () => {
  const { http: rules } = compile([asking('nope', '/a')], { extensionProviders });
  const match = decideCustom(rules, connection(), a);
  expect(match?.provider).toBeNull();
  expect(match?.verdict.details).toBe(
    'rbac_access_denied_matched_policy[istio-ext-authz-nope-ns[shop]-policy[ask-nope]-rule[0]-deny-due-to-bad-CUSTOM-action]',
  );
  expect(describe(rules, match?.verdict ?? fail())).toContain('no authorizer is called nope');
});

test('two authorizers on one workload deny what either would have been asked about', () => {
  const policies = [asking('ext', '/a'), asking('grpc', '/b')];
  const { http: rules } = compile(policies, { extensionProviders });
  expect(decideCustom(rules, connection(), a)?.provider).toBeNull();
  expect(decideCustom(rules, connection(), request({ path: '/b' }))?.provider).toBeNull();
  expect(decideCustom(rules, connection(), request({ path: '/c' }))).toBeNull();
});

test('on TCP an HTTP authorizer does nothing; others are asked about every connection', () => {
  expect(
    decideCustom(compile([asking('ext', '/a')], { extensionProviders }).tcp, connection(), null),
  ).toBeNull();
  const { tcp } = compile([asking('grpc', '/a')], { extensionProviders });
  expect(decideCustom(tcp, connection(), null)?.provider?.name).toBe('grpc');
  const unknown = compile([asking('nope', '/a')], { extensionProviders }).tcp;
  expect(decideCustom(unknown, connection(), null)?.provider).toBeNull();
});

function fail(): never {
  throw new Error('no CUSTOM rule matched');
}
