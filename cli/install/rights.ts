// What each part may do in the cluster: what it does, and nothing else.
import { pluralOf } from '#api/kinds/plural.ts';
import { kinds } from '#api/kinds/table.ts';
import { systemNamespace } from '#api/injection/names.ts';

import { inCluster, inSystem, type Manifest } from './labels.ts';

interface Rule {
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly verbs: readonly string[];
  readonly resourceNames?: readonly string[];
}

interface Rights {
  readonly cluster: readonly Rule[];
  /** In selvage-system. */
  readonly own: readonly Rule[];
}

const rbac = 'rbac.authorization.k8s.io/v1';
const read = ['get', 'list', 'watch'];

/** A Lease cannot be made by name: RBAC does not see names of what is created. */
function leases(name: string): Rule[] {
  const lease = { apiGroups: ['coordination.k8s.io'], resources: ['leases'] };
  return [
    { ...lease, verbs: ['create'] },
    { ...lease, resourceNames: [name], verbs: ['get', 'update', 'patch'] },
  ];
}

/** `security.istio.io` -> its resources that are read, and those whose status is written. */
function ownResources(): Map<string, { resources: string[]; withStatus: string[] }> {
  const groups = new Map<string, { resources: string[]; withStatus: string[] }>();
  for (const { kind, group, complete, status } of kinds.values()) {
    if (!complete) continue;
    const { resources, withStatus } = groups.get(group) ?? { resources: [], withStatus: [] };
    const name = pluralOf(kind);
    groups.set(group, {
      resources: [...resources, name],
      withStatus: status === 'none' ? withStatus : [...withStatus, name],
    });
  }
  return groups;
}

const rights: Readonly<Record<string, Rights>> = {
  'selvage-ca': {
    cluster: [
      { apiGroups: ['authentication.k8s.io'], resources: ['tokenreviews'], verbs: ['create'] },
      { apiGroups: [''], resources: ['namespaces'], verbs: ['list', 'watch'] },
      // By server-side apply, which names what it creates: no other ConfigMap can be made or read.
      {
        apiGroups: [''],
        resources: ['configmaps'],
        resourceNames: ['selvage-ca-root-cert'],
        verbs: [...read, 'create', 'patch'],
      },
    ],
    own: [
      { apiGroups: [''], resources: ['secrets'], verbs: ['create'] },
      {
        apiGroups: [''],
        resources: ['secrets'],
        resourceNames: ['selvage-ca-root'],
        verbs: ['get', 'update', 'patch'],
      },
      { apiGroups: [''], resources: ['secrets'], resourceNames: ['cacerts'], verbs: ['get'] },
      ...leases('selvage-ca'),
    ],
  },
  'selvage-control': {
    cluster: [
      { apiGroups: [''], resources: ['pods', 'services'], verbs: read },
      { apiGroups: ['discovery.k8s.io'], resources: ['endpointslices'], verbs: read },
      { apiGroups: [''], resources: ['configmaps'], resourceNames: ['istio'], verbs: read },
      ...[...ownResources()].flatMap(([group, { resources, withStatus }]): Rule[] => [
        { apiGroups: [group], resources, verbs: read },
        {
          apiGroups: [group],
          resources: withStatus.map((name) => `${name}/status`),
          verbs: ['patch'],
        },
      ]),
    ],
    own: leases('selvage-control-status'),
  },
  'selvage-injector': {
    cluster: [
      {
        apiGroups: ['admissionregistration.k8s.io'],
        resources: ['mutatingwebhookconfigurations', 'validatingwebhookconfigurations'],
        resourceNames: ['selvage-injector'],
        verbs: [...read, 'patch'],
      },
    ],
    own: [],
  },
};

/** ServiceAccount, roles and bindings of each part. */
export function rightsObjects(): Manifest[] {
  return Object.entries(rights).flatMap(([name, { cluster, own }]) => [
    inSystem('v1', 'ServiceAccount', name, {}),
    inCluster(rbac, 'ClusterRole', name, { rules: cluster }),
    inCluster(rbac, 'ClusterRoleBinding', name, binding('ClusterRole', name)),
    ...(own.length === 0
      ? []
      : [
          inSystem(rbac, 'Role', name, { rules: own }),
          inSystem(rbac, 'RoleBinding', name, binding('Role', name)),
        ]),
  ]);
}

function binding(kind: string, name: string): object {
  return {
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind, name },
    subjects: [{ kind: 'ServiceAccount', name, namespace: systemNamespace }],
  };
}
