// Names: resources that another one replaces, namespaces and service accounts that do not exist.
import { nameOf, placeOf } from '#api/origin.ts';
import type { Problem } from '#api/problem.ts';

import { type LintContext, warning } from './context.ts';

/** Kubernetes makes these itself. */
const given = new Set(['default', 'kube-system', 'kube-public', 'kube-node-lease']);

export function checkNames(context: LintContext): Problem[] {
  return [...replaced(context), ...unknownNamespaces(context), ...unknownAccounts(context)];
}

function replaced({ mesh }: LintContext): Problem[] {
  return mesh.replaced.map(({ old, by }) => {
    const { file, line } = placeOf(by.origin, 'metadata.name');
    const where = file === undefined ? 'a later one' : `the one at ${file}:${line}`;
    const same =
      old.kind === 'MeshConfig'
        ? 'the mesh has one configuration, and'
        : `${nameOf(old)} is written twice, and`;
    return warning(old, {
      code: 'name-duplicate',
      path: 'metadata.name',
      message: `${same} ${where} takes the place of this one: this one has no effect`,
      mend: 'give one of them another name, or remove it',
    });
  });
}

/** Where Namespaces are written at all, all are expected to be. */
function unknownNamespaces({ mesh }: LintContext): Problem[] {
  if (mesh.namespaces.length === 0) return [];
  const known = new Set(mesh.namespaces.map(({ metadata }) => metadata.name));
  const all = [
    ...mesh.deployments,
    ...mesh.pods,
    ...mesh.services,
    ...mesh.serviceAccounts,
    ...mesh.authorizationPolicies,
    ...mesh.requestAuthentications,
    ...mesh.peerAuthentications,
  ];
  return all.flatMap((resource) => {
    const { namespace } = resource.metadata;
    const own = namespace === mesh.meshConfig.rootNamespace || given.has(namespace);
    if (own || known.has(namespace)) return [];
    return warning(resource, {
      code: 'namespace-unknown',
      path: 'metadata.namespace',
      message: `the namespace ${namespace} does not exist`,
      mend: `correct the name, or add a Namespace ${namespace}`,
    });
  });
}

function unknownAccounts({ mesh, workloads }: LintContext): Problem[] {
  const declared = mesh.serviceAccounts.map(({ metadata }) => metadata);
  const inUse = new Set(declared.map(({ namespace }) => namespace));
  const known = new Set(declared.map(({ namespace, name }) => `${namespace}/${name}`));
  return workloads.flatMap(({ kind, namespace, serviceAccount, resource }) => {
    if (serviceAccount === 'default' || !inUse.has(namespace)) return [];
    if (known.has(`${namespace}/${serviceAccount}`)) return [];
    return warning(resource, {
      code: 'workload-account-unknown',
      path: kind === 'Pod' ? 'spec.serviceAccountName' : 'spec.template.spec.serviceAccountName',
      message:
        `there is no ServiceAccount ${serviceAccount} in ${namespace}, ` +
        'so its pods cannot start',
      mend: `correct the name, or add a ServiceAccount ${serviceAccount}`,
    });
  });
}
