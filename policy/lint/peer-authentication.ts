// PeerAuthentication: the ones that lose to others, or that nothing takes notice of.
import type { PeerAuthentication } from '#api/kinds/peer-authentication.ts';
import type { MeshWorkload } from '#api/mesh.ts';
import { joinKey, placeOf } from '#api/origin.ts';
import type { Problem } from '#api/problem.ts';

import { selectsLabels } from '../attach.ts';
import { resolveMtls } from '../peer-authentication.ts';
import { type LintContext, namesOf, warning } from './context.ts';
import { targetInstead } from './ports.ts';
import { labelsOf } from './services.ts';

export function checkPeerAuthentication(context: LintContext): Problem[] {
  const { peerAuthentications } = context.mesh;
  return [
    ...peerAuthentications.flatMap((policy) => [
      ...checkOne(policy, context),
      ...beaten(policy, context),
      ...servicePorts(policy, context),
    ]),
    ...identitiesWithoutTls(context),
  ];
}

function checkOne(policy: PeerAuthentication, context: LintContext): Problem[] {
  const labels = labelsIn(policy);
  const { namespace } = policy.metadata;
  const { rootNamespace } = context.mesh.meshConfig;
  if (labels === null) {
    const there = context.workloads.some((workload) => workload.namespace === namespace);
    if (namespace === rootNamespace || context.workloads.length === 0 || there) return [];
    return [
      warning(policy, {
        code: 'namespace-without-workloads',
        path: 'metadata.namespace',
        message: `there is no workload in ${namespace}: nothing is enforced`,
        mend: 'put the policy into the namespace of the workloads that it is for',
      }),
    ];
  }
  if (namespace === rootNamespace) {
    return [
      warning(policy, {
        code: 'peer-selector-in-root',
        path: 'spec.selector',
        message:
          `in the root namespace ${rootNamespace} ` +
          'a PeerAuthentication with a selector is ignored',
        mend: 'put it into the namespace of the workload, or remove the selector to mean the mesh',
      }),
    ];
  }
  if (context.workloads.length === 0 || chosenBy(policy, context).length > 0) return [];
  return [
    warning(policy, {
      code: 'selector-matches-nothing',
      path: 'spec.selector.matchLabels',
      message: `no workload in ${namespace} has the labels ${labelsOf(labels)}`,
      mend: 'compare them with the labels of the pod template',
    }),
  ];
}

/** Of two on one level the oldest wins whole; nothing is merged. */
function beaten(policy: PeerAuthentication, context: LintContext): Problem[] {
  const all = context.mesh.peerAuthentications;
  const older = all.slice(0, all.indexOf(policy));
  const chosen = chosenBy(policy, context);
  const rival = older.find((other) => {
    if (other.metadata.namespace !== policy.metadata.namespace) return false;
    if (labelsIn(policy) === null) return labelsIn(other) === null;
    if (labelsIn(other) === null) return false;
    return chosenBy(other, context).some((workload) => chosen.includes(workload));
  });
  if (rival === undefined) return [];
  const { file, line } = placeOf(rival.origin, 'metadata.name');
  const where = file === undefined ? '' : ` (${file}:${line})`;
  const scope =
    labelsIn(policy) === null
      ? `the whole namespace ${policy.metadata.namespace}`
      : namesOf(chosen.filter((one) => chosenBy(rival, context).includes(one)));
  return [
    warning(policy, {
      code: 'peer-authentication-beaten',
      path: 'metadata.name',
      message:
        `${rival.metadata.name}${where} is older and holds for ${scope} too: the oldest ` +
        'wins, and this one is ignored there',
      mend: 'merge the two into one',
    }),
  ];
}

function servicePorts(policy: PeerAuthentication, context: LintContext): Problem[] {
  const ports = Object.keys(policy.spec.portLevelMtls ?? {});
  const chosen = chosenBy(policy, context);
  return ports.flatMap((port) => {
    const target = targetInstead(Number(port), chosen, context);
    if (target === null) return [];
    return warning(policy, {
      code: 'port-of-service',
      path: joinKey('spec.portLevelMtls', port),
      message:
        `${port} is the Service's port; ${namesOf(chosen)} listens on ${target}, which is ` +
        'what portLevelMtls means',
      mend: `write ${target}`,
    });
  });
}

/** Where mutual TLS is off nobody has an identity. */
function identitiesWithoutTls(context: LintContext): Problem[] {
  const { mesh } = context;
  const { rootNamespace } = mesh.meshConfig;
  const fields = new Set(['principals', 'namespaces', 'serviceAccounts', 'trustDomains']);
  return context.values.flatMap(({ policy, field, negative, path, listPath, label }) => {
    if (negative || !fields.has(field) || !path.endsWith('[0]')) return [];
    const workloads = context.workloadsUnder(policy).filter(({ ports }) => ports.length > 0);
    const off = workloads.filter((workload) => {
      const mtls = resolveMtls(mesh.peerAuthentications, workload, rootNamespace);
      return workload.ports.every(({ port }) => mtls(port).mode === 'DISABLE');
    });
    if (off.length === 0) return [];
    return warning(policy, {
      code: 'identity-without-mtls',
      path: listPath,
      message:
        `${label} never matches on ${namesOf(off)}: a PeerAuthentication switches mutual ` +
        'TLS off there',
      mend: 'set the PeerAuthentication to PERMISSIVE or STRICT',
    });
  });
}

function chosenBy(policy: PeerAuthentication, { workloads }: LintContext): MeshWorkload[] {
  const { namespace } = policy.metadata;
  return workloads.filter(
    (workload) =>
      workload.namespace === namespace && selectsLabels(labelsIn(policy) ?? {}, workload.labels),
  );
}

function labelsIn({ spec }: PeerAuthentication): Readonly<Record<string, string>> | null {
  const labels = spec.selector?.matchLabels ?? {};
  return Object.keys(labels).length === 0 ? null : labels;
}
