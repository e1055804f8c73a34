// Mutual TLS of each port of a workload, as its PeerAuthentications say.
import type { PeerAuthentication } from '#api/kinds/peer-authentication.ts';
import type { Workload } from '#api/workload.ts';

import { selectsLabels } from './attach.ts';
import { positionOf } from './position.ts';

export interface MtlsDecision {
  readonly mode: 'STRICT' | 'PERMISSIVE' | 'DISABLE';
  /** `namespace/name` of the policy that says so; '' where none does. */
  readonly policy: string;
  /** Where it says so: `file:line`; null where unknown. */
  readonly at: string | null;
}

const byDefault: MtlsDecision = { mode: 'PERMISSIVE', policy: '', at: null };

/**
 * Resolves every port: workload over namespace over mesh, UNSET inherits, the oldest of a level wins.
 * A selector in the root namespace is ignored, as are ports of a policy without a selector.
 * @param policies the oldest first
 * @returns what holds for a port, by its number; also for ports that no Service names
 */
export function resolveMtls(
  policies: readonly PeerAuthentication[],
  workload: Workload,
  rootNamespace: string,
): (port: number) => MtlsDecision {
  const [mesh, namespace, own] = levels(policies, workload, rootNamespace);
  let decision = byDefault;
  for (const level of [mesh, namespace, own]) {
    const mode = level?.spec.mtls?.mode ?? 'UNSET';
    if (level !== undefined && mode !== 'UNSET') {
      decision = { mode, ...sayer(level, 'spec.mtls.mode') };
    }
  }
  const ports = new Map<number, MtlsDecision>();
  for (const [port, { mode }] of Object.entries(own?.spec.portLevelMtls ?? {})) {
    if (own === undefined || mode === 'UNSET') continue;
    ports.set(Number(port), { mode, ...sayer(own, `spec.portLevelMtls.${port}.mode`) });
  }
  return (port) => ports.get(port) ?? decision;
}

function levels(
  policies: readonly PeerAuthentication[],
  workload: Workload,
  rootNamespace: string,
): (PeerAuthentication | undefined)[] {
  const inNamespace = (policy: PeerAuthentication): boolean =>
    policy.metadata.namespace === workload.namespace && policy.metadata.namespace !== rootNamespace;
  return [
    policies.find((policy) => policy.metadata.namespace === rootNamespace && !hasSelector(policy)),
    policies.find((policy) => inNamespace(policy) && !hasSelector(policy)),
    policies.find(
      (policy) =>
        inNamespace(policy) &&
        hasSelector(policy) &&
        selectsLabels(policy.spec.selector?.matchLabels ?? {}, workload.labels),
    ),
  ];
}

function hasSelector(policy: PeerAuthentication): boolean {
  return Object.keys(policy.spec.selector?.matchLabels ?? {}).length > 0;
}

function sayer(policy: PeerAuthentication, path: string): Pick<MtlsDecision, 'policy' | 'at'> {
  const { namespace, name } = policy.metadata;
  return { policy: `${namespace}/${name}`, at: positionOf(policy.origin, path) };
}
