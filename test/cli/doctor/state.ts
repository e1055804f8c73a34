// The state of a cluster in which all is well, for tests that break one thing of it.
import { stances } from '#api/injection.ts';
import { type Loaded, loadText } from '#api/load.ts';
import type { Inventory } from '#cli/cluster/inventory.ts';
import { type LivePod, podOf } from '#cli/cluster/pods.ts';
import type { Sidecar } from '#cli/cluster/sidecars.ts';
import type { ClusterState, Crd } from '#cli/doctor/state.ts';
import type { KubeObject } from '#runtime/kubernetes/client.ts';
import { makeTestCa } from '#test/tls/fixtures.ts';

export const hourMs = 3_600_000;
/** Two months ago: roots of tests live for a day, which from here on is long enough. */
export const nowMs = Date.now() - 60 * 24 * hourMs;
export const [root, otherRoot, lastingRoot] = await Promise.all([
  makeTestCa('one'),
  makeTestCa('two'),
  makeTestCa('three', 3650),
]);

const istio = { app: 'istio-pilot' };
export const crds: readonly Crd[] = [
  crd('security.istio.io', 'AuthorizationPolicy', 'authorizationpolicies'),
  crd('security.istio.io', 'PeerAuthentication', 'peerauthentications'),
  crd('security.istio.io', 'RequestAuthentication', 'requestauthentications'),
  { ...crd('networking.istio.io', 'ServiceEntry', 'serviceentries'), labels: istio },
  {
    ...crd('selvage.dev', 'ApiKeyAuthentication', 'apikeyauthentications'),
    versions: ['v1alpha1'],
  },
  { ...crd('selvage.dev', 'TokenExchange', 'tokenexchanges'), versions: ['v1alpha1'] },
];

function crd(group: string, kind: string, plural: string): Crd {
  const labels = { 'app.kubernetes.io/part-of': 'selvage' };
  return { name: `${plural}.${group}`, group, kind, versions: ['v1'], established: true, labels };
}

/** A pod of a Deployment `web` with a sidecar, an hour old. */
export function pod(name: string, more: Partial<KubeObject> & { meta?: object } = {}): LivePod {
  const { meta, ...rest } = more;
  return podOf({
    metadata: {
      name,
      namespace: 'shop',
      labels: { 'pod-template-hash': '5d9' },
      ownerReferences: [{ kind: 'ReplicaSet', name: 'web-5d9', uid: 'r', controller: true }],
      creationTimestamp: new Date(nowMs - hourMs).toISOString(),
      ...meta,
    },
    spec: {
      containers: [{ name: 'app', image: 'app:1' }],
      initContainers: [{ name: 'selvage-proxy', image: 'selvage/selvage:0.1.0' }],
    },
    status: { phase: 'Running', conditions: [{ type: 'Ready', status: 'True' }] },
    ...rest,
  });
}

/** The same without one. */
export function barePod(name: string, meta: object = {}, spec: object = {}): LivePod {
  const containers = [{ name: 'app', image: 'app:1' }];
  return pod(name, { meta, spec: { containers, ...spec } });
}

export function sidecar(name: string, more: Partial<Sidecar> = {}): Sidecar {
  return {
    namespace: 'shop',
    workload: 'web',
    pod: name,
    version: '0.1.0',
    connectedSinceMs: nowMs - hourMs,
    snapshot: 3,
    snapshotSinceMs: nowMs - hourMs,
    inSync: true,
    refused: '',
    replica: 'selvage-control-a',
    ...more,
  };
}

/** Of the namespace `shop`, which opts in. @param labels in place of its own */
export function inventory(
  pods: readonly LivePod[],
  {
    labels = { inject: 'true' },
    ...more
  }: Partial<Inventory> & { labels?: Record<string, string> } = {},
): { value: Inventory } {
  return {
    value: {
      pods,
      namespaces: ['default', 'kube-system', 'selvage-system', 'shop'],
      stanceOf: stances([{ metadata: { name: 'shop', labels } }]),
      ownerOf: () => null,
      webhookSinceMs: nowMs - 2 * hourMs,
      ...more,
    },
  };
}

export function resources(yaml: string): { value: Loaded } {
  return { value: loadText(yaml, 'live') };
}

export function wellState(change: Partial<ClusterState> = {}): ClusterState {
  const image = 'selvage/selvage:0.1.0';
  const names = ['selvage-ca', 'selvage-control', 'selvage-injector'];
  const name = 'selvage-injector';
  const labels = { 'app.kubernetes.io/part-of': 'selvage' };
  const caBundles = [root.certPem, root.certPem];
  return {
    nowMs,
    server: 'https://k:6443',
    apiVersion: 'v1.34.4',
    deployments: { value: names.map((one) => ({ name: one, image, wanted: 2, ready: 2 })) },
    systemPods: { value: [] },
    webhooks: {
      value: [
        { kind: 'MutatingWebhookConfiguration', name, labels, caBundles },
        { kind: 'ValidatingWebhookConfiguration', name, labels, caBundles },
      ],
    },
    injection: {
      value: { namespace: 'default', containers: ['selvage-proxy', 'app'], refusal: '' },
    },
    bundles: {
      value: new Map([
        ['selvage-system', root.certPem],
        ['shop', root.certPem],
        ['default', root.certPem],
      ]),
    },
    served: { value: names.map((by) => ({ by, endsMs: nowMs + 20 * hourMs, failure: '' })) },
    inventory: inventory([pod('web-1')]),
    sidecarEnds: { value: new Map([['shop/web-1', nowMs + 12 * hourMs]]) },
    sidecars: { value: [sidecar('web-1')] },
    crds: { value: crds },
    resources: resources(''),
    ...change,
  };
}
