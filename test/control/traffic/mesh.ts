// Reads resources of tests and says how calls of a namespace are routed.
import { expect } from 'vitest';

import { loadText } from '#api/load.ts';
import { collectMesh, type MeshResources } from '#api/mesh.ts';
import type { HttpRoute, RouteGroup } from '#api/traffic/route.ts';
import { Routes } from '#control/traffic/routes.ts';

/** Services shop/web (80), shop/payments (80, 8080), shop/payments-v2 (80) and bank/ledger (80). */
export const services = [
  ['web', 'shop', '[{port: 80}]'],
  ['payments', 'shop', '[{port: 80}, {port: 8080}]'],
  ['payments-v2', 'shop', '[{port: 80}]'],
  ['ledger', 'bank', '[{port: 80}]'],
]
  .map(
    ([name, namespace, ports]) =>
      `apiVersion: v1\nkind: Service\nmetadata: {name: ${name}, namespace: ${namespace}}\nspec: {selector: {app: ${name}}, ports: ${ports}}`,
  )
  .join('\n---\n');

export function meshOf(...texts: string[]): MeshResources {
  const { resources, problems } = loadText([services, ...texts].join('\n---\n'), 'mesh.yaml');
  expect(problems.map(({ message, path, line }) => `${line} ${path} ${message}`)).toEqual([]);
  return collectMesh(resources);
}

/** A VirtualService of shop; the spec is indented by two. */
export function virtualService(name: string, spec: string, more = ''): string {
  return `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: ${name}, namespace: shop${more}}
spec:
${indented(spec)}`;
}

export function httpRoute(name: string, spec: string, more = 'namespace: shop'): string {
  return `apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: ${name}, ${more}}
spec:
${indented(spec)}`;
}

function indented(text: string): string {
  return text.trim().replace(/^/gm, '  ');
}

export function groupsOf(
  mesh: MeshResources,
  namespace = 'shop',
  labels: Readonly<Record<string, string>> = {},
): readonly RouteGroup[] {
  return new Routes(mesh, null).of({ namespace, labels });
}

/** The routes of the group that counts for a host and a port. */
export function httpOf(
  groups: readonly RouteGroup[],
  host: string,
  port = 80,
): readonly HttpRoute[] {
  const found = groups.find(
    (group) =>
      (group.port === 0 || group.port === port) &&
      group.http.length > 0 &&
      group.hosts.some(
        (one) => one === host || (one.startsWith('*') && host.endsWith(one.slice(1))),
      ),
  );
  return found?.http ?? [];
}

export const payments = 'payments.shop.svc.cluster.local';
