import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { expect, test } from 'vitest';

import { readCases } from '#test/data/cases.ts';

import { codes, deployment, lint, mesh, policy, resource, service } from './mesh.ts';

const named = (name: string): string => policy('{rules: [{}]}', `name: ${name}`);

const selecting = (label: string): string =>
  policy(`{selector: {matchLabels: {app: ${label}}}, rules: [{}]}`);

test('a selector that no workload has, and a namespace without workloads', () => {
  expect(codes(mesh, selecting('web'))).toEqual([]);
  expect(codes(mesh, selecting('wbe'))).toEqual(['selector-matches-nothing']);
  expect(codes(mesh, selecting('srv'))).toEqual(['selector-matches-nothing']);
  expect(codes(mesh, policy('{rules: [{}]}', 'namespace: empty'))).toEqual([
    'namespace-without-workloads',
  ]);
  expect(
    codes(mesh, resource('PeerAuthentication', '{mtls: {mode: STRICT}}', 'namespace: empty')),
  ).toEqual(['namespace-without-workloads']);
  expect(
    codes(mesh, resource('PeerAuthentication', '{selector: {matchLabels: {app: wbe}}}')),
  ).toEqual(['selector-matches-nothing']);
});

test('a selector in the root namespace reaches into every namespace', () => {
  const root = policy(
    '{selector: {matchLabels: {app: web}}, rules: [{}]}',
    'namespace: istio-system',
  );
  const [problem] = lint(mesh, root);
  expect(problem).toMatchObject({ code: 'selector-in-root' });
  expect(problem?.message).toContain('bar');
  expect(codes(mesh, policy('{rules: [{}]}', 'namespace: istio-system'))).toEqual([]);
});

test('targetRefs are ignored by sidecars', () => {
  const target = '{targetRefs: [{kind: Service, name: web}], rules: [{}]}';
  expect(codes(mesh, policy(target))).toEqual(['target-ignored']);
});

const bare = deployment('bare', 'baz', [80]).replace(', annotations: {inject: "true"}', '');

test('a workload that a policy is for and that has no sidecar', () => {
  const inBaz = policy('{rules: [{}]}', 'namespace: baz');
  expect(codes(mesh, bare)).toEqual([]);
  expect(codes(mesh, bare, inBaz)).toEqual(['inject-missing', 'sidecar-missing']);
  const refused = bare.replace(
    'namespace: baz}',
    'namespace: baz, annotations: {inject: "false"}}',
  );
  expect(codes(mesh, refused, inBaz)).toEqual(['sidecar-missing']);
});

test('the label of a namespace adds a sidecar, and a slip in the annotation does not', () => {
  const namespaces = ['foo', 'bar', 'baz'].map(
    (name) =>
      `apiVersion: v1\nkind: Namespace\nmetadata: {name: ${name}, labels: {istio-injection: enabled}}`,
  );
  expect(codes(mesh, bare, ...namespaces)).toEqual([]);
  const slip = bare.replace('namespace: baz}', 'namespace: baz, annotations: {inject: "yes"}}');
  const [problem] = lint(mesh, slip);
  expect(problem).toMatchObject({ code: 'inject-invalid', line: expect.any(Number) });
});

test('a namespace and a service account that do not exist', () => {
  const namespaces = ['foo', 'bar'].map(
    (name) => `apiVersion: v1\nkind: Namespace\nmetadata: {name: ${name}}`,
  );
  expect(codes(mesh, ...namespaces)).toEqual([]);
  expect(codes(mesh, bare, ...namespaces)).toEqual(['namespace-unknown']);
  const without = mesh.replace('name: web-sa, namespace: bar}', 'name: other, namespace: bar}');
  expect(codes(without)).toEqual(['workload-account-unknown']);
});

test('a Service that selects nothing, and a target port that no container names', () => {
  expect(codes(mesh, service('wbe', 'bar', '[{name: http, port: 80}]'))).toEqual([
    'service-selects-nothing',
  ]);
  const targeted = service('web', 'bar', '[{name: http, port: 80, targetPort: web}]').replace(
    'name: web,',
    'name: w2,',
  );
  expect(codes(mesh, targeted)).toEqual(['target-port-unknown']);
});

test('the first of two resources of one name has no effect', () => {
  const [problem, ...rest] = lint(mesh, named('a'), named('a'));
  expect(rest).toEqual([]);
  expect(problem).toMatchObject({ code: 'name-duplicate', resource: 'AuthorizationPolicy bar/a' });
  expect(problem?.message).toMatch(/the one at f\.yaml:\d+/);
  expect(codes(mesh, named('a'), named('b'))).toEqual([]);
  expect(codes('kind: MeshConfig\ntrustDomain: a', 'kind: MeshConfig\ntrustDomain: b')).toEqual([
    'name-duplicate',
  ]);
});

const peer = (name: string, spec: string, namespace = 'bar'): string =>
  resource('PeerAuthentication', spec, `name: ${name}, namespace: ${namespace}`);

test('of two PeerAuthentications on one level the oldest wins', () => {
  const whole = '{mtls: {mode: STRICT}}';
  const one = '{selector: {matchLabels: {app: web}}, mtls: {mode: PERMISSIVE}}';
  const [problem] = lint(mesh, peer('a', whole), peer('b', whole));
  expect(problem).toMatchObject({
    code: 'peer-authentication-beaten',
    resource: 'PeerAuthentication bar/b',
  });
  expect(codes(mesh, peer('a', one), peer('b', one))).toEqual(['peer-authentication-beaten']);
  expect(codes(mesh, peer('a', whole), peer('b', one))).toEqual([]);
  expect(codes(mesh, peer('a', whole), peer('b', whole, 'foo'))).toEqual([]);
  expect(codes(mesh, peer('a', whole, 'istio-system'), peer('b', whole))).toEqual([]);
});

test('a selector of a PeerAuthentication is ignored in the root namespace', () => {
  const spec = '{selector: {matchLabels: {app: web}}, mtls: {mode: STRICT}}';
  expect(codes(mesh, peer('a', spec, 'istio-system'))).toEqual(['peer-selector-in-root']);
});

const spec = (port: number): string =>
  `{selector: {matchLabels: {app: srv}}, portLevelMtls: {${port}: {mode: STRICT}}}`;

test('portLevelMtls means ports of the workload', () => {
  expect(codes(mesh, peer('a', spec(80), 'foo'))).toEqual(['port-of-service']);
  expect(codes(mesh, peer('a', spec(8080), 'foo'))).toEqual([]);
});

test('where mutual TLS is off, nobody has an identity', () => {
  const off = peer('a', '{mtls: {mode: DISABLE}}');
  expect(codes(mesh, off, policy('{rules: [{from: [{source: {principals: ["*"]}}]}]}'))).toEqual([
    'identity-without-mtls',
  ]);
});

test('the shop of the examples has nothing to mend', () => {
  const folder = join(import.meta.dirname, '../../../manifests/examples/shop');
  const texts = ['shop.yaml', 'policies.yaml'].map((file) =>
    readFileSync(join(folder, file), 'utf8'),
  );
  expect(lint(...texts)).toEqual([]);
});

test('no recorded case makes a check throw, and every problem has a place and a way to mend it', () => {
  let found = 0;
  for (const c of readCases()) {
    const valid = c.policies.filter((_, i) => c.validation[i]?.valid);
    const { name, namespace, ports } = c.workload;
    const numbers = ports.map(({ port }) => port);
    const meshConfig = JSON.stringify({ kind: 'MeshConfig', spec: c.meshConfig });
    const documents = [deployment(name, namespace, numbers), meshConfig, ...valid];
    for (const problem of lint(...documents)) {
      found += 1;
      expect(problem.line).toBeGreaterThan(0);
      expect(problem.mend).toBeTruthy();
    }
  }
  expect(found).toBeGreaterThan(100);
});
