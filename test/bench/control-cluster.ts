// From an event of an API server to the snapshot in force at every sidecar of a cluster of 1,000 Services and 2,000 pods.
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import type { NewObject } from '../runtime/kubernetes/fake-api.ts';
import type { ApiReady, Puts } from './control-api.ts';
import type { MeshSize } from './control-fleets.ts';
import type { ControlRig, Edit, Series } from './control-rig.ts';

type Put = Puts[number];

export async function measureCluster(rig: ControlRig, size: MeshSize): Promise<void> {
  const { namespaces, workloads, podsEach } = size;
  const child = fork(join(import.meta.dirname, 'control-api.ts'));
  rig.children.push(child);
  const send = async (puts: Puts): Promise<ApiReady> => {
    child.send(puts);
    const [ready] = (await once(child, 'message')) as [ApiReady];
    return ready;
  };
  const all = Array.from({ length: namespaces }, (_, n) =>
    Array.from({ length: workloads / namespaces }, (__, i) => workload(n, i, podsEach)),
  );
  const { url, caPem } = await send([
    policy('istio-system', 'everywhere', null, '/0'),
    ...all.flat(2),
  ]);
  const account = join(rig.folder, 'account');
  await mkdir(account);
  await Promise.all([
    writeFile(join(account, 'token'), 'of control'),
    writeFile(join(account, 'ca.crt'), caPem),
    writeFile(join(account, 'namespace'), 'selvage-system'),
  ]);
  await rig.measure(
    `from an event of the API server to the snapshot in force, ${workloads} Services, ${workloads * podsEach} sidecars (of policies 100 ms are the debounce, of endpoints 10)`,
    { SELVAGE_KUBERNETES: url, SELVAGE_KUBERNETES_DIR: account },
    size,
    edits(size, send),
    series(size, send),
  );
}

function edits({ workloads, podsEach }: MeshSize, send: (puts: Puts) => unknown): Edit[] {
  const sidecars = workloads * podsEach;
  return [
    {
      name: 'policy of one workload',
      expected: podsEach,
      apply: (r) => send([policy('ns-0', 'allow-0', 'app-0', `/${r}`)]),
    },
    {
      name: 'policy of the whole mesh',
      expected: sidecars,
      apply: (r) => send([policy('istio-system', 'everywhere', null, `/${r}`)]),
    },
    {
      name: 'one endpoint becomes ready or not',
      expected: sidecars,
      apply: (r) => send([slice(2, 0, podsEach, r % 2 === 1)]),
    },
    {
      name: 'endpoints of 20 Services at once',
      expected: sidecars,
      apply: (r) => send(Array.from({ length: 20 }, (_, i) => slice(3, i, podsEach, r % 2 === 1))),
    },
  ];
}

/** Twenty endpoints come or go a second, each of another Service. */
function series({ podsEach }: MeshSize, send: (puts: Puts) => unknown): Series[] {
  return [
    {
      name: '100 endpoints one by one',
      changes: 100,
      everyMs: 50,
      apply: (c) => send([slice(4 + (c % 10), Math.floor(c / 10), podsEach, true)]),
    },
  ];
}

function workload(n: number, i: number, podsEach: number): Put[] {
  return [
    put('/api/v1/services', {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: `app-${i}`, namespace: `ns-${n}` },
      spec: {
        clusterIP: `10.96.${n}.${i}`,
        selector: { app: `app-${i}` },
        ports: [{ name: 'http', port: 80, targetPort: 8080 }],
      },
    }),
    slice(n, i, podsEach, false),
    policy(`ns-${n}`, `allow-${i}`, `app-${i}`, '/'),
    ...Array.from({ length: podsEach }, (_, p) => pod(n, i, p)),
  ];
}

/** With what a real one has besides: it is the larger part, and control must not keep it. */
function pod(n: number, i: number, p: number): Put {
  return put('/api/v1/pods', {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name: `app-${i}-${p}`,
      namespace: `ns-${n}`,
      uid: `uid-${n}-${i}-${p}`,
      labels: { app: `app-${i}`, version: 'v1', 'security.istio.io/tlsMode': 'istio' },
      annotations: { 'selvage.dev/workload': `app-${i}`, 'sidecar.istio.io/status': '{}' },
    },
    spec: {
      serviceAccountName: 'app',
      initContainers: [{ name: 'selvage-proxy', env: environment() }],
      containers: [{ name: 'app', env: environment(), ports: [{ containerPort: 8080 }] }],
    },
    status: {
      phase: 'Running',
      podIP: address(n, i, p),
      podIPs: [{ ip: address(n, i, p) }],
      conditions: [{ type: 'Ready', status: 'True', lastTransitionTime: '2026-01-01T00:00:00Z' }],
    },
  });
}

function environment(): object[] {
  return Array.from({ length: 40 }, (_, i) => ({ name: `VARIABLE_${i}`, value: 'x'.repeat(40) }));
}

/** @param lame the first pod of the Service does not answer */
function slice(n: number, i: number, podsEach: number, lame: boolean): Put {
  return put('/apis/discovery.k8s.io/v1/endpointslices', {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: {
      name: `app-${i}-x`,
      namespace: `ns-${n}`,
      labels: { 'kubernetes.io/service-name': `app-${i}` },
    },
    addressType: 'IPv4',
    ports: [{ name: 'http', port: 8080, protocol: 'TCP' }],
    endpoints: Array.from({ length: podsEach }, (_, p) => ({
      addresses: [address(n, i, p)],
      conditions: { ready: p > 0 || !lame, serving: p > 0 || !lame, terminating: false },
      nodeName: `node-${i % 10}`,
      zone: `zone-${i % 3}`,
      targetRef: { kind: 'Pod', namespace: `ns-${n}`, name: `app-${i}-${p}` },
    })),
  });
}

function policy(namespace: string, name: string, app: string | null, path: string): Put {
  return put('/apis/security.istio.io/v1/authorizationpolicies', {
    apiVersion: 'security.istio.io/v1',
    kind: 'AuthorizationPolicy',
    metadata: { name, namespace },
    spec: {
      ...(app === null ? {} : { selector: { matchLabels: { app } } }),
      rules: [
        {
          from: [{ source: { principals: ['cluster.local/ns/ns-1/sa/app'] } }],
          to: [{ operation: { methods: ['GET', 'POST'], paths: [path] } }],
        },
      ],
    },
  });
}

function put(collection: string, object: NewObject): Put {
  return { collection, object };
}

function address(n: number, i: number, p: number): string {
  return `10.${n}.${p}.${i}`;
}
