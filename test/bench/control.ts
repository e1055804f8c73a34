// From an edited file to 1,000 sidecars that put the change in force, then from an event of an API server to 2,000, on one
// machine; and what control's memory is then.
//
//   npm run bench -- control [sidecars of the folder]
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { measureCluster } from './control-cluster.ts';
import { ControlRig, type Edit } from './control-rig.ts';

const sidecars = Number(process.argv.find((one) => /^\d+$/.test(one)) ?? 1000);
const namespaces = 20;
let folder = '';

await ControlRig.with(async (rig) => {
  folder = join(rig.folder, 'mesh');
  await writeMesh();
  await rig.measure(
    `from the write of a file to the snapshot in force, ${sidecars} sidecars (100 ms of it are the debounce)`,
    { SELVAGE_RESOURCES: folder },
    { namespaces, workloads: sidecars, podsEach: 1 },
    edits(),
  );
});
await ControlRig.with((rig) => measureCluster(rig, { namespaces, workloads: 1000, podsEach: 2 }));

/** Every sidecar is a workload of its own: nothing is shared that a real mesh would not share. */
async function writeMesh(): Promise<void> {
  await mkdir(folder);
  for (let n = 0; n < namespaces; n++) {
    const own = Array.from({ length: sidecars / namespaces }, (_, i) => i);
    await write(`deployments-${n}`, own.map((i) => deployment(n, i)).join('---\n'));
    await write(
      `policies-${n}`,
      own.map((i) => policy(`ns-${n}`, `allow-${i}`, `app-${i}`, '/')).join('---\n'),
    );
    for (const i of own) await write(`pod-${n}-${i}`, pod(n, i, 34_000));
  }
  await write('root', policy('istio-system', 'everywhere', null, '/0'));
}

function edits(): Edit[] {
  return [
    {
      name: 'policy of one workload',
      expected: 1,
      apply: (r) => write('one', policy('ns-0', 'one', 'app-0', `/${r}`)),
    },
    {
      name: 'policy of one namespace',
      expected: sidecars / namespaces,
      apply: (r) => write('some', policy('ns-1', 'some', null, `/${r}`)),
    },
    {
      name: 'policy of the whole mesh',
      expected: sidecars,
      apply: (r) => write('root', policy('istio-system', 'everywhere', null, `/${r}`)),
    },
    {
      name: 'one endpoint moves',
      expected: sidecars,
      apply: (r) => write('pod-2-0', pod(2, 0, 35_000 + r)),
    },
  ];
}

function write(name: string, text: string): Promise<void> {
  return writeFile(join(folder, `${name}.yaml`), text);
}

function deployment(n: number, i: number): string {
  return `apiVersion: apps/v1
kind: Deployment
metadata: { name: app-${i}, namespace: ns-${n}, annotations: { inject: "true" } }
spec: { template: { metadata: { labels: { app: app-${i} } }, spec: { serviceAccountName: app } } }
---
apiVersion: v1
kind: Service
metadata: { name: app-${i}, namespace: ns-${n} }
spec: { selector: { app: app-${i} }, ports: [{ name: http, port: 80, targetPort: 8080 }] }
`;
}

function pod(n: number, i: number, port: number): string {
  return `apiVersion: v1
kind: Pod
metadata:
  name: app-${i}-0
  namespace: ns-${n}
  labels: { app: app-${i} }
  annotations: { inject: "true", selvage.dev/workload: app-${i}, selvage.dev/local-ports: '{"8080":${port}}' }
spec: { serviceAccountName: app }
status: { podIP: 10.${n}.0.${i % 250} }
`;
}

function policy(namespace: string, name: string, app: string | null, path: string): string {
  return `apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: ${name}, namespace: ${namespace} }
spec:
  ${app === null ? '' : `selector: { matchLabels: { app: ${app} } }`}
  rules:
    - from: [{ source: { principals: ["cluster.local/ns/ns-1/sa/app"] } }]
      to: [{ operation: { methods: [GET, POST], paths: ["${path}"] } }]
`;
}
