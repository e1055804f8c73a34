// Meshes of YAML for tests of what callers see: two Services, and whatever else a test writes.
import { loadText } from '#api/load.ts';
import { collectMesh, type MeshResources } from '#api/mesh.ts';
import type { Snapshot } from '#api/snapshot.ts';
import type { DestinationPolicy } from '#api/traffic/destination.ts';
import { snapshotOf } from '#control/snapshot.ts';

const base = `
apiVersion: v1
kind: Service
metadata: { name: web, namespace: shop }
spec: { selector: { app: web }, ports: [{ name: http, port: 80 }, { name: grpc, port: 90 }] }
---
apiVersion: v1
kind: Service
metadata: { name: bank, namespace: money }
spec: { selector: { app: bank }, ports: [{ name: http, port: 80 }] }
`;

export const web = 'web.shop.svc.cluster.local';
export const bank = 'bank.money.svc.cluster.local';

/** @throws when a document is invalid */
export function meshOf(...documents: readonly string[]): MeshResources {
  const { resources, problems } = loadText([base, ...documents].join('\n---\n'), 'f.yaml');
  const errors = problems.filter(({ severity }) => severity === 'error');
  if (errors.length > 0) throw new Error(errors.map(({ message }) => message).join('\n'));
  return collectMesh(resources);
}

const groups: Readonly<Record<string, string>> = {
  CircuitBreaker: 'selvage.dev/v1alpha1',
  HealthCheck: 'selvage.dev/v1alpha1',
  Telemetry: 'telemetry.istio.io/v1',
};

export function document(kind: string, name: string, spec: string): string {
  const [namespace, own] = name.split('/');
  const group = groups[kind] ?? 'networking.istio.io/v1';
  return `apiVersion: ${group}
kind: ${kind}
metadata: { name: ${own}, namespace: ${namespace} }
spec: ${spec}`;
}

export function rule(name: string, spec: string): string {
  return document('DestinationRule', name, spec);
}

/** Of a caller in a namespace. */
export function snapshot(
  mesh: MeshResources,
  namespace: string,
  labels: Readonly<Record<string, string>> = {},
): Snapshot {
  const workload = { namespace, name: 'caller', labels, serviceAccount: 'default', ports: [] };
  return snapshotOf(mesh, workload);
}

export function destinations(
  mesh: MeshResources,
  namespace: string,
  labels: Readonly<Record<string, string>> = {},
): readonly DestinationPolicy[] {
  return snapshot(mesh, namespace, labels).destinations ?? [];
}
