// Reports of replicas, for tests.
import type { Generations, ReplicaReport, SidecarPolicies } from '#control/status/report.ts';

export function sidecar(pod: string, over: Partial<SidecarPolicies> = {}): SidecarPolicies {
  return {
    namespace: 'shop',
    workload: 'web',
    pod,
    version: '0.1.0',
    connectedSince: '2026-01-01T00:00:00.000Z',
    ackedVersion: 1,
    ackedAt: '2026-01-01T00:00:01.000Z',
    wantedVersion: 1,
    inSync: true,
    refused: '',
    wanted: new Map(),
    acked: new Map(),
    ...over,
  };
}

export function report(
  replica: string,
  known: Generations,
  sidecars: readonly SidecarPolicies[] = [],
): ReplicaReport {
  return { id: replica, replica, known, sidecars };
}
