// Every recorded decision of real istiod with real Envoy, against ours: status, details, path, authority and all.
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { authorizationPolicySpec } from '#api/kinds/authorization-policy.ts';
import { meshConfig } from '#api/kinds/mesh-config.ts';
import { peerAuthenticationSpec } from '#api/kinds/peer-authentication.ts';
import { requestAuthenticationSpec } from '#api/kinds/request-authentication.ts';
import { objectMeta } from '#api/resource.ts';
import type { PolicyResource } from '#api/snapshot.ts';
import type { PortProtocol } from '#api/workload.ts';
import { readYaml } from '#api/yaml.ts';
import { type CompiledPolicies, compilePolicies } from '#policy/compile.ts';
import { audited } from '#policy/decide.ts';
import { judge, type JudgeOptions, type Outcome } from '#policy/judge.ts';
import type { RecordedCall } from '#policy/judge/call.ts';
import { remoteIp } from '#policy/remote-ip.ts';
import { stricter } from '#policy/stricter.ts';

import { type Case, type CaseExpected, readCases } from '../data/cases.ts';

const protocols: Readonly<Record<string, PortProtocol>> = {
  HTTP: 'http',
  HTTP2: 'http2',
  GRPC: 'grpc',
  TCP: 'tcp',
};

const shapes = {
  AuthorizationPolicy: authorizationPolicySpec,
  RequestAuthentication: requestAuthenticationSpec,
  PeerAuthentication: peerAuthenticationSpec,
};

/** What the recorded webhook let in, whatever ours would say. */
function admittedPolicies(c: Case): PolicyResource[] {
  return c.policies.flatMap((text, index) => {
    if (c.admitInvalid !== true && c.validation[index]?.valid !== true) return [];
    return policiesOf(text);
  });
}

function policiesOf(text: string): PolicyResource[] {
  return readYaml(text, 'case.yaml').documents.flatMap(({ value, origin }) => {
    const { apiVersion, kind, metadata, spec } = value as Record<string, unknown>;
    const shape = shapes[kind as keyof typeof shapes].safeParse(spec ?? {});
    if (!shape.success) return [];
    const resource = { apiVersion, kind, metadata: objectMeta.parse(metadata), spec: shape.data };
    return [{ ...resource, origin } as unknown as PolicyResource];
  });
}

function compileCase(c: Case): CompiledPolicies {
  const ports = c.workload.ports.map(({ port, name, protocol }) => ({
    port,
    name,
    protocol: protocols[protocol] ?? ('detect' as const),
  }));
  return compilePolicies({
    mesh: meshConfig.parse(c.meshConfig),
    workload: { ...c.workload, ports },
    policies: admittedPolicies(c),
  });
}

const options: JudgeOptions = {
  authorizer: async (_, call) =>
    (call.headers ?? []).some(([n, v]) => n.toLowerCase() === 'x-ext-authz' && v === 'allow'),
};

/** The fields in which they differ. */
function differences(
  p: CompiledPolicies,
  call: RecordedCall,
  expected: CaseExpected,
  got: Outcome,
): string[] {
  const { facts } = got;
  const found: string[] = [];
  const check = (name: string, wanted: unknown, has: unknown): void => {
    if (wanted !== has) found.push(`${name} ${String(has)}, not ${String(wanted)}`);
  };
  check('decision', expected.decision, got.decision);
  check('details', expected.details ?? '', got.details);
  if (expected.status !== undefined) check('status', expected.status, got.status);
  if (expected.as === 'tcp') check('protocol', 'tcp', got.protocol);
  if (got.path !== '') {
    check('path', expected.path, got.path);
    check('authority', expected.authority ?? '', got.authority);
  }
  if (facts?.request !== null && facts !== null && got.authorizer?.allowed !== false) {
    const { connection, request } = facts;
    const address = remoteIp(request.values('x-forwarded-for'), call.source.ip);
    check('remoteIp', expected.remoteIp, address);
    const matched = audited(p.http, connection, request).length > 0;
    check('audit', expected.audit === 'true', matched);
  }
  return found;
}

test('every recorded decision is ours, and what is stricter is exactly this', async () => {
  const wrong: string[] = [];
  const skipped = new Map<string, number>();
  let same = 0;
  for (const c of readCases(({ oracleError }) => oracleError === undefined)) {
    const p = compileCase(c);
    for (const [index, call] of c.requests.entries()) {
      const expected = c.expected[index];
      if (expected === undefined) throw new Error(`${c.name} ${call.id} has no expectation`);
      const got = await judge(p, call, options);
      const found = differences(p, call, expected, got);
      if (found.length === 0) {
        same += 1;
        continue;
      }
      const known = stricter.find((one) => one.applies(call));
      if (known === undefined || got.status !== 400) {
        wrong.push(`${c.name} ${call.id}: ${found.join('; ')}`);
      } else {
        skipped.set(known.name, (skipped.get(known.name) ?? 0) + 1);
      }
    }
  }
  expect(wrong).toEqual([]);
  expect(Object.fromEntries(skipped)).toEqual({ 'two Host headers': 24 });
  expect(same).toBe(13_452);
}, 60_000);

function policy(spec: string): string {
  const head = 'apiVersion: security.istio.io/v1, kind: AuthorizationPolicy';
  return `{${head}, metadata: {name: p, namespace: foo}, spec: ${spec}}`;
}

describe('a call', () => {
  const call: RecordedCall = {
    method: 'GET',
    path: '/a',
    host: 'srv.foo',
    headers: [],
    source: { identity: 'cluster.local/ns/foo/sa/sleep', ip: '10.0.0.1' },
    destination: { ip: '10.0.0.2', port: 8080 },
  };
  const compile = (...texts: string[]): CompiledPolicies =>
    compilePolicies({
      mesh: meshConfig.parse({ extensionProviders: [provider] }),
      workload: {
        namespace: 'foo',
        name: 'srv',
        labels: {},
        serviceAccount: 'srv',
        ports: [{ port: 8080, name: 'http', protocol: 'http' }],
      },
      policies: texts.flatMap(policiesOf),
    });
  const provider = { name: 'ext', envoyExtAuthzHttp: { service: 'ext.foo', port: 80 } };
  const custom = policy('{action: CUSTOM, provider: {name: ext}, rules: [{}]}');

  test('is refused by an authorizer that nobody stands in for', async () => {
    expect(await judge(compile(custom), call)).toMatchObject({
      decision: 'deny',
      details: 'ext_authz_denied',
      authorizer: { provider: 'ext', allowed: false },
    });
  });

  test('goes on to the rules when its authorizer allows it', async () => {
    const p = compile(custom, policy('{}'));
    const outcome = await judge(p, call, { authorizer: async () => true });
    expect(outcome).toMatchObject({ decision: 'deny', authorizer: { allowed: true } });
    expect(outcome.details).toBe('rbac_access_denied_matched_policy[none]');
  });

  test('with two Host headers is malformed, though the first would be allowed', async () => {
    const outcome = await judge(compile(), { ...call, host: ['srv.foo', 'b.com'] });
    expect(outcome).toMatchObject({ decision: 'badrequest', status: 400 });
    expect(outcome.reason).toMatch('two Host headers');
  });

  test.each(['x-forwarded-for', ':path', 'X-Forwarded-Proto'])(
    'whose Connection names %s is malformed',
    async (name) => {
      const outcome = await judge(compile(), { ...call, headers: [['connection', name]] });
      expect(outcome).toMatchObject({ decision: 'badrequest', status: 400 });
    },
  );

  test('with claims counts them as signed, but not as of any issuer', async () => {
    const p = compile(
      `{apiVersion: security.istio.io/v1, kind: RequestAuthentication, metadata: {name: r, namespace: foo},
        spec: {jwtRules: [{issuer: iss, audiences: [a]}]}}`,
      policy('{rules: [{from: [{source: {requestPrincipals: ["iss/*"]}}]}]}'),
    );
    const ask = async (claims: Record<string, unknown>): Promise<string> =>
      (await judge(p, call, { claims })).decision;
    expect(await ask({ iss: 'iss', sub: 's', aud: 'a' })).toBe('allow');
    expect(await ask({ iss: 'other', sub: 's', aud: 'a' })).toBe('unauthenticated');
    expect(await ask({ iss: 'iss', sub: 's', aud: 'b' })).toBe('deny');
    expect(await ask({ iss: 'iss', sub: 's', aud: 'a', exp: 1 })).toBe('unauthenticated');
  });

  test('is explained by the rule that came nearest', async () => {
    const p = compile(policy('{rules: [{to: [{operation: {methods: [GET], paths: [/b]}}]}]}'));
    const { explanation } = await judge(p, call);
    expect(explanation?.nearest).toMatchObject({
      policy: 'p',
      rule: 0,
      missed: [{ field: 'to.operation.paths', wanted: ['/b'], got: '/a' }],
    });
  });

  test('of any content is judged and never throws, and what is malformed is not allowed', async () => {
    const p = compile(
      `{apiVersion: security.istio.io/v1, kind: RequestAuthentication, metadata: {name: r, namespace: foo},
        spec: {jwtRules: [{issuer: iss, jwks: '{"keys":[]}', fromCookies: [c], fromParams: [t]}]}}`,
      policy('{rules: [{to: [{operation: {paths: ["/a*"], hosts: ["*.foo"]}}]}]}'),
    );
    const text = fc.string({ unit: 'binary', maxLength: 12 });
    const names = fc.oneof(text, fc.constantFrom('connection', 'upgrade', 'te', 'cookie', 'host'));
    await fc.assert(
      fc.asyncProperty(
        fc.record(
          {
            method: fc.oneof(text, fc.constant('GET')),
            path: fc.oneof(
              text,
              text.map((one) => `/a${one}`),
            ),
            host: fc.oneof(text, fc.array(text, { maxLength: 2 }), fc.constant(null)),
            headers: fc.array(fc.tuple(names, text), { maxLength: 4 }),
            minor: fc.nat(1),
            sni: text,
            alpn: fc.array(text, { maxLength: 2 }),
            source: fc.record({
              identity: fc.oneof(text, fc.constantFrom(null, 'none', 'cluster.local/ns/a/sa/b')),
              ip: text,
            }),
          },
          { requiredKeys: ['source'] },
        ),
        async (random) => {
          const outcome = await judge(p, { ...random, destination: call.destination });
          const { method = 'GET', path = '/', minor = 1 } = random;
          const proper = method === 'GET' && /^[/h][!-~]*$/.test(path) && minor === 1;
          expect(proper || outcome.decision !== 'allow').toBe(true);
        },
      ),
      { numRuns: 500, seed: 3 },
    );
  });
});

function named(call: RecordedCall): string[] {
  return stricter.filter((one) => one.applies(call)).map(({ name }) => name);
}

describe('what is stricter than Envoy', () => {
  const base: RecordedCall = {
    source: { identity: null, ip: '10.0.0.1' },
    destination: { ip: '10.0.0.2', port: 80 },
  };

  test('is two Host headers, on HTTP', () => {
    expect(named({ ...base, host: ['a', 'b'] })).toEqual(['two Host headers']);
    expect(named({ ...base, host: ['a'] })).toEqual([]);
    expect(named({ ...base, host: ['a', 'b'], kind: 'tcp' })).toEqual([]);
  });

  test('is user information in an absolute target', () => {
    const wanted = ['user information in an absolute target'];
    expect(named({ ...base, path: 'http://x@host/' })).toEqual(wanted);
    expect(named({ ...base, path: 'http://host/@' })).toEqual([]);
    expect(named({ ...base, path: '/http://x@host/' })).toEqual([]);
  });

  test('is a token with critical extensions, wherever it stands', () => {
    const header = Buffer.from('{"alg":"RS256","crit":["b64"]}').toString('base64url');
    const token = `${header}.e30.c2ln`;
    const wanted = ['tokens with critical extensions'];
    expect(named({ ...base, path: `/?t=${token}` })).toEqual(wanted);
    expect(named({ ...base, headers: [['cookie', `a=b; c=${token}`]] })).toEqual(wanted);
    expect(named({ ...base, headers: [['x', token.replace(header, 'eyJhIjoxfQ')]] })).toEqual([]);
  });
});
