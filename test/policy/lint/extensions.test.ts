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

test('a selector that no workload has, a namespace without one, and a Service that is not there', () => {
  expect(codes(mesh, rateLimit(''))).toEqual([]);
  expect(codes(mesh, rateLimit('', 'empty'))).toEqual(['namespace-without-workloads']);
  expect(codes(mesh, rateLimit('', 'istio-system'))).toEqual([]);
  expect(codes(mesh, rateLimit(app('nobody')))).toEqual(['selector-matches-nothing']);
  expect(codes(mesh, rateLimit(app('nobody'), 'istio-system'))).toEqual([
    'selector-matches-nothing',
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
