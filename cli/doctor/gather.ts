// Gathers what the doctor looks at. What cannot be read is written down as such, and the rest is still looked at.
import { protectedNamespaces, systemNamespace } from '#api/injection/names.ts';
import { pluralOf } from '#api/kinds/plural.ts';
import { kinds } from '#api/kinds/table.ts';
import type { KubeClient, KubeObject } from '#runtime/kubernetes/client.ts';
import { KubeError } from '#runtime/kubernetes/kube-error.ts';

import { type Cluster, describeFailure } from '../cluster/cluster.ts';
import { askControl } from '../cluster/control.ts';
import { getOrNull, listAll, servedKinds } from '../cluster/discovery.ts';
import { type Inventory, readInventory } from '../cluster/inventory.ts';
import { isReady, type LivePod, podOf, sidecarOf } from '../cluster/pods.ts';
import { readCluster } from '../cluster/resources.ts';
import { sidecarCertificates } from '../cluster/sidecar-certificates.ts';
import { sidecarsOf } from '../cluster/sidecars.ts';
import type { Known } from './finding.ts';
import { servedCertificates } from './served-certificates.ts';
import type { ClusterState, Crd, DryRun, SystemDeployment, WebhookConfiguration } from './state.ts';

const askedMax = 50;

/** Rejects when the API server cannot be reached at all. */
export async function gatherState(cluster: Cluster): Promise<ClusterState> {
  const { client, server } = cluster;
  const { gitVersion: apiVersion } = await client.get<{ gitVersion: string }>('/version');
  const inventory = await known(() => readInventory(client));
  const system = `/namespaces/${systemNamespace}`;
  const [deployments, systemPods, webhooks, bundles, crds, resources] = await Promise.all([
    known(() => listAll(client, `/apis/apps/v1${system}/deployments`)),
    known(() => listAll(client, `/api/v1${system}/pods`)),
    known(() => readWebhooks(client)),
    known(() => readBundles(client)),
    known(() => readCrds(client)),
    known(() => readCluster(client)),
  ]);
  const [injection, sidecars, served, sidecarEnds] = await Promise.all([
    known(() => tryInjection(cluster, inventory)),
    known(async () => sidecarsOf(await askControl(cluster, '/sidecars'))),
    known(() => servedCertificates(cluster)),
    known(() => sidecarCertificates(cluster, sample(inventory))),
  ]);
  return {
    nowMs: Date.now(),
    server,
    apiVersion,
    deployments: mapped(deployments, deploymentOf),
    systemPods: mapped(systemPods, podOf),
    webhooks,
    injection,
    bundles,
    served,
    inventory,
    sidecarEnds,
    sidecars,
    crds,
    resources,
  };
}

/** Each costs a call into its pod: of each workload one is asked, and of not too many. */
function sample(inventory: Known<Inventory>): readonly LivePod[] {
  const pods = 'value' in inventory ? inventory.value.pods : [];
  const ready = pods.filter((pod) => sidecarOf(pod) !== undefined && isReady(pod));
  const each = Map.groupBy(ready, ({ namespace, workload }) => `${namespace}/${workload.name}`);
  return [...each.values()].flatMap(([first]) => first ?? []).slice(0, askedMax);
}

async function known<T>(read: () => Promise<T>): Promise<Known<T>> {
  try {
    return { value: await read() };
  } catch (error) {
    return { unknown: describeFailure(error) };
  }
}

function mapped<T, U>(list: Known<readonly T[]>, change: (one: T) => U): Known<readonly U[]> {
  return 'value' in list ? { value: list.value.map(change) } : list;
}

function deploymentOf(object: KubeObject): SystemDeployment {
  const { metadata, spec, status } = object as KubeObject & {
    spec?: {
      replicas?: number;
      template?: { spec?: { containers?: readonly { image?: string }[] } };
    };
    status?: { readyReplicas?: number };
  };
  return {
    name: metadata.name,
    image: spec?.template?.spec?.containers?.[0]?.image ?? '',
    wanted: spec?.replicas ?? 1,
    ready: status?.readyReplicas ?? 0,
  };
}

async function readWebhooks(client: KubeClient): Promise<WebhookConfiguration[]> {
  const group = '/apis/admissionregistration.k8s.io/v1';
  const [mutating, validating] = await Promise.all([
    listAll(client, `${group}/mutatingwebhookconfigurations`),
    listAll(client, `${group}/validatingwebhookconfigurations`),
  ]);
  return [
    ...mutating.map((one) => webhookOf('MutatingWebhookConfiguration', one)),
    ...validating.map((one) => webhookOf('ValidatingWebhookConfiguration', one)),
  ];
}

function webhookOf(kind: WebhookConfiguration['kind'], object: KubeObject): WebhookConfiguration {
  const webhooks = (object['webhooks'] ?? []) as readonly {
    clientConfig?: { caBundle?: string };
  }[];
  const caBundles = webhooks.map(({ clientConfig }) =>
    Buffer.from(clientConfig?.caBundle ?? '', 'base64').toString('utf8'),
  );
  const { name, labels = {} } = object.metadata;
  return { kind, name, labels, caBundles };
}

async function readBundles(client: KubeClient): Promise<Map<string, string>> {
  const fieldSelector = 'metadata.name=selvage-ca-root-cert';
  const found = await listAll(client, '/api/v1/configmaps', { fieldSelector });
  return new Map(
    found.map((one): [string, string] => {
      const data = (one['data'] ?? {}) as Readonly<Record<string, string>>;
      return [one.metadata.namespace ?? '', data['root-cert.pem'] ?? ''];
    }),
  );
}

/** Of the kinds that are read here, and of those of their groups that the cluster serves besides. */
async function readCrds(client: KubeClient): Promise<Crd[]> {
  const wanted = [...kinds.values()].filter(({ complete }) => complete);
  const gateway = await servedKinds(client, 'gateway.networking.k8s.io');
  const names = new Set([
    ...wanted.map(({ kind, group }) => `${pluralOf(kind)}.${group}`),
    ...gateway.map(({ plural, group }) => `${plural}.${group}`),
  ]);
  const path = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';
  const found = await Promise.all([...names].map((name) => getOrNull(client, `${path}/${name}`)));
  return found.filter((one) => one !== null).map(crdOf);
}

function crdOf(object: KubeObject): Crd {
  const { metadata, spec, status } = object as KubeObject & {
    spec: {
      group: string;
      names: { kind: string };
      versions: readonly { name: string; served: boolean }[];
    };
    status?: { conditions?: readonly { type: string; status: string }[] };
  };
  const conditions = status?.conditions ?? [];
  return {
    name: metadata.name,
    group: spec.group,
    kind: spec.names.kind,
    versions: spec.versions.filter(({ served }) => served).map(({ name }) => name),
    established: conditions.some((one) => one.type === 'Established' && one.status === 'True'),
    labels: metadata.labels ?? {},
  };
}

interface PodContainers {
  readonly spec?: {
    readonly initContainers?: readonly { name: string }[];
    readonly containers?: readonly { name: string }[];
  };
}

/** A dry run goes through every webhook and is stored nowhere. */
async function tryInjection(cluster: Cluster, inventory: Known<Inventory>): Promise<DryRun> {
  const namespace = namespaceToTry(cluster, inventory);
  const pod = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name: `selvage-doctor-${Math.random().toString(36).slice(2, 10)}`,
      annotations: { inject: 'true' },
    },
    spec: { containers: [{ name: 'application', image: 'selvage.dev/never-pulled' }] },
  };
  try {
    const path = `/api/v1/namespaces/${namespace}/pods`;
    const made = await cluster.client.create<PodContainers>(path, pod, { dryRun: 'All' });
    const { initContainers = [], containers = [] } = made.spec ?? {};
    const names = [...initContainers, ...containers].map(({ name }) => name);
    return { namespace, containers: names, refusal: '' };
  } catch (error) {
    // That we may not create pods says nothing about the webhook.
    const refused = error instanceof KubeError && !/cannot create resource/.test(error.message);
    if (!refused) throw error;
    return { namespace, containers: [], refusal: error.message };
  }
}

function namespaceToTry({ namespace: own }: Cluster, inventory: Known<Inventory>): string {
  if (!('value' in inventory)) return own;
  const { namespaces, stanceOf } = inventory.value;
  const eligible = namespaces.filter(
    (name) => stanceOf(name) !== 'kept-out' && !protectedNamespaces.some((one) => one === name),
  );
  return [own, 'default'].find((name) => eligible.includes(name)) ?? eligible[0] ?? own;
}
