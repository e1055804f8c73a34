// The resources: whether the cluster knows their kinds and whose definitions those are, and what lint says of them.
import { kinds } from '#api/kinds/table.ts';
import { collectMesh } from '#api/mesh.ts';
import type { Problem } from '#api/problem.ts';
import { lintMesh } from '#policy/lint/lint.ts';

import { placeAndMessage } from '../calls/problems.ts';
import { installed } from '../cluster/inventory.ts';
import { sidecarOf } from '../cluster/pods.ts';
import { counted, type Finding, listed, whenKnown } from './finding.ts';
import type { ClusterState, Crd } from './state.ts';

const shownMax = 10;

export function checkCrds({ crds }: ClusterState): readonly Finding[] {
  const check = 'crds';
  return whenKnown(check, crds, (present) => {
    const wanted = [...kinds.values()].filter(({ complete }) => complete);
    const missing: string[] = [];
    const findings: Finding[] = [];
    for (const { group, kind, versions, foreignCrd } of wanted) {
      const crd = present.find((one) => one.group === group && one.kind === kind);
      if (crd === undefined) {
        // Who has no Gateway API does not miss it.
        if (foreignCrd === true) continue;
        missing.push(`${kind} (${group})`);
      } else if (!crd.established) {
        const message = `the definition of ${kind} is not established: kubectl describe crd ${crd.name}`;
        findings.push({ check, level: 'problem', message });
      } else if (!crd.versions.some((version) => versions.includes(version))) {
        const served = crd.versions.join(', ');
        const message = `${kind} is served as ${served}; Selvage reads ${versions.join(', ')}`;
        findings.push({ check, level: 'problem', message });
      }
    }
    if (missing.length > 0) {
      const message = `the cluster does not know ${listed(missing, 10)}`;
      const mend = 'selvage install | kubectl apply -f -';
      findings.push({ check, level: 'problem', message, mend });
    }
    return [...findings, ...whose(check, present)];
  });
}

/** Definitions of Istio's are used as they are: worth knowing when one of them goes with Istio. */
function whose(check: string, present: readonly Crd[]): Finding[] {
  return [...Map.groupBy(present, ownerOf)].map(([owner, group]) => {
    const names = group.map(({ kind }) => kind);
    return { check, level: 'ok', message: `definitions of ${owner}: ${listed(names, 8)}` };
  });
}

function ownerOf({ labels, group }: Crd): string {
  if (labels[installed.key] === installed.value) return 'Selvage';
  if (labels['app'] === 'istio-pilot' || labels['release']?.startsWith('istio') === true) {
    return 'Istio';
  }
  return group === 'gateway.networking.k8s.io' ? 'the Gateway API' : 'somebody else';
}

export function checkPolicies({ resources }: ClusterState): readonly Finding[] {
  const check = 'policies';
  return whenKnown(check, resources, (loaded) => {
    const problems = [...loaded.problems, ...lintMesh(collectMesh(loaded.resources))];
    const read = counted(loaded.resources.length, 'resource');
    if (problems.length === 0) return [{ check, level: 'ok', message: `nothing amiss in ${read}` }];
    const bySeverity = problems.toSorted((a, b) => rank(a) - rank(b));
    const findings = bySeverity.slice(0, shownMax).map((problem): Finding => {
      const level = problem.severity === 'error' ? 'problem' : 'warning';
      return { check, level, message: placeAndMessage(problem), mend: problem.mend };
    });
    const rest = problems.length - findings.length;
    if (rest === 0) return findings;
    const message = `and ${rest} more: selvage check --live`;
    return [...findings, { check, level: 'note', message }];
  });
}

function rank({ severity }: Problem): number {
  return severity === 'error' ? 0 : 1;
}

/** Who calls is not known; who could not is. */
export function checkStrict({ resources, inventory }: ClusterState): readonly Finding[] {
  const check = 'strict';
  return whenKnown(check, resources, (loaded) =>
    whenKnown(check, inventory, ({ pods }) => {
      const mesh = collectMesh(loaded.resources);
      const strict = mesh.peerAuthentications.filter(({ spec }) => spec.mtls?.mode === 'STRICT');
      const [first] = strict;
      if (first === undefined) {
        const message =
          'no PeerAuthentication asks for mutual TLS: sidecars take plaintext as well';
        const mend = 'once every caller is in the mesh: a PeerAuthentication with mtls.mode STRICT';
        return [{ check, level: 'note', message, mend }];
      }
      const outside = pods.filter(
        (pod) => sidecarOf(pod) === undefined && !/^(kube|selvage)-/.test(pod.namespace),
      );
      const names = strict.map(({ metadata }) => `${metadata.namespace}/${metadata.name}`);
      const told = `STRICT mutual TLS by ${listed(names)}`;
      if (outside.length === 0) return [{ check, level: 'ok', message: told }];
      const pod = counted(outside.length, 'pod');
      const shown = listed(outside.map(({ namespace, name }) => `${namespace}/${name}`));
      const message = `${told}: ${pod} outside the mesh cannot call there: ${shown}`;
      return [{ check, level: 'note', message }];
    }),
  );
}
