// A small mesh for the checks to look at, and a reader of what they say.
import { loadText } from '#api/load.ts';
import { collectMesh } from '#api/mesh.ts';
import type { Problem } from '#api/problem.ts';
import { lintMesh } from '#policy/lint/lint.ts';

/** Two workloads: foo/srv with HTTP (8080), TCP (9000) and undeclared (8090) ports, bar/web with HTTP only. */
export const mesh = `
${deployment('srv', 'foo', [8080, 9000, 8090])}
---
${service('srv', 'foo', '[{name: http, port: 80, targetPort: 8080}, {name: tcp, port: 9000}]')}
---
${deployment('web', 'bar', [8080])}
---
${service('web', 'bar', '[{name: http, port: 8080}]')}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: sleep, namespace: bar}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: web-sa, namespace: bar}
`;

/** A workload with a sidecar, whose labels are app: NAME and whose account is NAME-sa. */
export function deployment(name: string, namespace: string, ports: readonly number[]): string {
  const list = ports.map((port) => `{containerPort: ${port}}`).join(', ');
  return `apiVersion: apps/v1
kind: Deployment
metadata: {name: ${name}, namespace: ${namespace}, annotations: {inject: "true"}}
spec:
  template:
    metadata: {labels: {app: ${name}}}
    spec: {serviceAccountName: ${name}-sa, containers: [{name: a, ports: [${list}]}]}`;
}

export function service(name: string, namespace: string, ports: string): string {
  return `apiVersion: v1
kind: Service
metadata: {name: ${name}, namespace: ${namespace}}
spec: {selector: {app: ${name}}, ports: ${ports}}`;
}

/** A document of security.istio.io/v1, by default in bar. */
export function resource(kind: string, spec: string, metadata = ''): string {
  const names = { name: 'p', namespace: 'bar' };
  const head = Object.entries(names)
    .filter(([key]) => !new RegExp(`\\b${key}:`).test(metadata))
    .map(([key, value]) => `${key}: ${value}`);
  return `apiVersion: security.istio.io/v1
kind: ${kind}
metadata: {${[...head, metadata].filter(Boolean).join(', ')}}
spec: ${spec}`;
}

export function policy(spec: string, metadata = ''): string {
  return resource('AuthorizationPolicy', spec, metadata);
}

/** What the checks say of the documents. @throws when one of them is invalid */
export function lint(...documents: readonly string[]): Problem[] {
  const { resources, problems } = loadText(documents.join('\n---\n'), 'f.yaml');
  const errors = problems.filter(({ severity }) => severity === 'error');
  if (errors.length > 0) throw new Error(errors.map(({ message }) => message).join('\n'));
  return lintMesh(collectMesh(resources));
}

/** Their codes, each once, sorted. */
export function codes(...documents: readonly string[]): string[] {
  return [...new Set(lint(...documents).map(({ code }) => code))].toSorted();
}
