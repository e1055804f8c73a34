// Kinds of our own that do nothing where they are.
import { expect, test } from 'vitest';

import { codes, deployment, lint, mesh } from './mesh.ts';

function rateLimit(attachment: string, namespace = 'foo'): string {
  return `
apiVersion: selvage.dev/v1alpha1
kind: RateLimit
metadata: {name: calls, namespace: ${namespace}}
spec: {${attachment}limits: [{name: one, concurrency: {limit: 1}}]}
`;
}

const app = (name: string): string => `selector: {matchLabels: {app: ${name}}}, `;
const service = (name: string): string => `targetRefs: [{kind: Service, name: ${name}}], `;

<<<<<<<< HEAD:test/policy/lint/extensions.test.ts
test('a selector that no workload has, a namespace without one, and a Service that is not there', () => {
  expect(codes(mesh, rateLimit(''))).toEqual([]);
  expect(codes(mesh, rateLimit('', 'empty'))).toEqual(['namespace-without-workloads']);
  expect(codes(mesh, rateLimit('', 'istio-system'))).toEqual([]);
  expect(codes(mesh, rateLimit(app('nobody')))).toEqual(['selector-matches-nothing']);
  expect(codes(mesh, rateLimit(app('nobody'), 'istio-system'))).toEqual([
    'selector-matches-nothing',
========
test.each([
  ['hosts of the mesh and outside', exchange('web.bar.svc.cluster.local, a.example.com'), []],
  ['a host that is none of the mesh', exchange('web.foo.svc.cluster.local'), ['host-unknown']],
  ['an endpoint that is none', exchange('srv.foo.svc', 'http://id.foo.svc/t'), ['host-unknown']],
])('%s', (_what, document, expected) => {
  expect(codes(mesh, document)).toEqual(expected);
});

test('a header that tells the caller of a key is only believed where a sidecar writes it', () => {
  const rule = '{ rules: [{ when: [{ key: "request.headers[X-Consumer]", values: [a, b] }] }] }';
  const guarded = keys('selector: { matchLabels: { app: srv } }');
  expect(codes(mesh, guarded, policy(rule, 'namespace: foo'))).not.toContain('consumer-forgeable');
  expect(lint(mesh, guarded, policy(rule))).toMatchObject([
    {
      code: 'consumer-forgeable',
      message:
        'request.headers[X-Consumer]: no ApiKeyAuthentication is for bar/web, so callers there can send this header themselves',
    },
>>>>>>>> h-edge:test/policy/lint/credentials.test.ts
  ]);
  const [problem] = lint(mesh, rateLimit(service('nothing')));
  expect(problem).toMatchObject({ code: 'target-unknown', resource: 'RateLimit foo/calls' });
  expect(problem?.message).toBe('there is no Service nothing in foo: this RateLimit does nothing');
});

test('a workload that has no sidecar', () => {
  const bare = deployment('bare', 'baz', [80]).replace(', annotations: {inject: "true"}', '');
  expect(codes(mesh, bare, rateLimit(app('bare'), 'baz'))).toContain('sidecar-missing');
});

test('without workloads nothing is known', () => {
  expect(codes(rateLimit(app('nobody')))).toEqual([]);
});
