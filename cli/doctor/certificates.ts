// When certificates end, and whether every namespace has the mesh's trust bundle.
import { protectedNamespaces, systemNamespace } from '#api/injection/names.ts';

import { formatAge } from '../cluster/age.ts';
import { counted, type Finding, listed, whenKnown } from './finding.ts';
import { certificatesOf, isSameBundle } from './pem.ts';
import type { ClusterState, ServedCertificate } from './state.ts';

const check = 'certificates';
const configMap = 'selvage-ca-root-cert';
const dayMs = 86_400_000;
const rootWarningMs = 30 * dayMs;
/** Certificates live a day and are renewed at half of it; one that is nearer to its end was not. */
const leafWarningMs = dayMs / 8;

export function checkCertificates(state: ClusterState): readonly Finding[] {
  return [
    ...whenKnown(check, state.bundles, (bundles) => [
      ...checkRoots(bundles.get(systemNamespace), state.nowMs),
      ...checkCopies(bundles, state),
    ]),
    ...whenKnown(check, state.served, (served) =>
      served.filter(({ by }) => isInstalled(by, state)).map((one) => checkServed(one, state.nowMs)),
    ),
    ...checkSidecars(state),
  ];
}

function checkRoots(bundle: string | undefined, nowMs: number): Finding[] {
  const roots = certificatesOf(bundle ?? '');
  if (roots.length === 0) {
    const message = `${systemNamespace} has no trust bundle: the ConfigMap ${configMap} is ${bundle === undefined ? 'missing' : 'empty'}`;
    const mend = `the CA writes it: kubectl logs -n ${systemNamespace} deployment/selvage-ca`;
    return [{ check, level: 'problem', message, mend }];
  }
  return roots.map(({ subject, endsMs }) => {
    const message = `the root "${subject.replaceAll('\n', ', ')}" ${endOf(endsMs, nowMs)}`;
    const mend = 'rotate the root: see README.md';
    if (endsMs > nowMs + rootWarningMs) return { check, level: 'ok', message };
    // An old root may end beside a new one: that is what a rotation looks like.
    const others = roots.some((other) => other.endsMs > nowMs + rootWarningMs);
    if (others) return { check, level: 'note', message: `${message}; another follows it` };
    return { check, level: endsMs <= nowMs ? 'problem' : 'warning', message, mend };
  });
}

function checkCopies(bundles: ReadonlyMap<string, string>, state: ClusterState): Finding[] {
  const own = bundles.get(systemNamespace);
  if (own === undefined || !('value' in state.inventory)) return [];
  const namespaces = state.inventory.value.namespaces.filter(
    (name) => !protectedNamespaces.some((one) => one === name),
  );
  const lacking = namespaces.filter((name) => !bundles.has(name));
  const stale = namespaces.filter((name) => {
    const copy = bundles.get(name);
    return copy !== undefined && !isSameBundle(copy, own);
  });
  const mend = `the CA writes them: kubectl logs -n ${systemNamespace} deployment/selvage-ca`;
  const findings: Finding[] = [];
  if (lacking.length > 0) {
    const message = `${counted(lacking.length, 'namespace')} without the trust bundle, where no sidecar can start: ${listed(lacking)}`;
    findings.push({ check, level: 'problem', message, mend });
  }
  if (stale.length > 0) {
    const message = `${counted(stale.length, 'namespace')} with another trust bundle than the mesh's: ${listed(stale)}`;
    findings.push({ check, level: 'problem', message, mend });
  }
  if (findings.length > 0) return findings;
  const count = counted(namespaces.length, 'namespace');
  return [{ check, level: 'ok', message: `the trust bundle is in each of ${count}` }];
}

/** What is missing is told elsewhere. */
function isInstalled(name: string, { deployments }: ClusterState): boolean {
  return !('value' in deployments) || deployments.value.some((one) => one.name === name);
}

function checkServed({ by, endsMs, failure }: ServedCertificate, nowMs: number): Finding {
  if (endsMs === null) {
    const message = `${by} does not answer a TLS handshake inside the cluster: ${failure}`;
    const mend = `kubectl get endpointslices,networkpolicies -n ${systemNamespace}`;
    return { check, level: 'problem', message, mend };
  }
  return { check, ...judgedEnd(`the certificate of ${by}`, endsMs, nowMs, by) };
}

function checkSidecars({ sidecarEnds, nowMs }: ClusterState): readonly Finding[] {
  return whenKnown(check, sidecarEnds, (ends) => {
    const near = [...ends].filter(([, endsMs]) => endsMs <= nowMs + leafWarningMs);
    if (near.length > 0) {
      const names = near.map(([name]) => name);
      const message = `${counted(near.length, 'sidecar')} whose certificate was not renewed in time: ${listed(names)}`;
      const mend = 'read their logs: do they reach selvage-ca:15012, and is their token accepted?';
      return [{ check, level: 'problem', message, mend }];
    }
    if (ends.size === 0) return [];
    const first = endOf(Math.min(...ends.values()), nowMs);
    const message = `the first certificate to end, of ${counted(ends.size, 'sidecar')} asked, ${first}`;
    return [{ check, level: 'ok', message }];
  });
}

function judgedEnd(
  what: string,
  endsMs: number,
  nowMs: number,
  by: string,
): Omit<Finding, 'check'> {
  const message = `${what} ${endOf(endsMs, nowMs)}`;
  if (endsMs > nowMs + leafWarningMs) return { level: 'ok', message };
  const mend = `it renews itself: kubectl logs -n ${systemNamespace} deployment/${by}`;
  return { level: endsMs <= nowMs ? 'problem' : 'warning', message, mend };
}

function endOf(endsMs: number, nowMs: number): string {
  return endsMs <= nowMs
    ? `ended ${formatAge(nowMs - endsMs)} ago`
    : `ends in ${formatAge(endsMs - nowMs)}`;
}
