// What a folder of YAML becomes on one machine.
import { expect, test } from 'vitest';

import { collectMesh, workloadsOf } from '#api/mesh.ts';
import { loadText } from '#api/load.ts';
import type { MeshModel } from '#cli/calls/model.ts';
import { planPods } from '#cli/up/plan.ts';
import { localWorkloads } from '#cli/up/workloads.ts';

function modelOf(text: string): MeshModel {
  const { resources, problems } = loadText(text, 'shop.yaml');
  expect(problems).toEqual([]);
  const mesh = collectMesh(resources);
  return {
    resources: mesh,
    workloads: workloadsOf(mesh),
    tests: [],
    problems,
    extensionsOf: () => [],
    apiKeysOf: () => null,
    sidecarOf: () => mesh.sidecars[0] ?? null,
    callable: () => mesh,
    policiesOf: () => {
      throw new Error('no policy is asked for here');
    },
  };
}

async function plan(text: string) {
  let next = 100;
  const workloads = localWorkloads(modelOf(text), (file) => `/yaml/${file}`);
  return planPods(workloads, async () => (next += 1));
}

const deployment = (inject: string, replicas: number) => `
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
  namespace: shop
  annotations: { inject: "${inject}" }
spec:
  replicas: ${replicas}
  selector: { matchLabels: { app: web } }
  template:
    metadata: { labels: { app: web } }
    spec:
      serviceAccountName: web-sa
      containers:
        - name: web
          command: [node, server.ts]
          args: [--verbose]
          env: [{ name: MODE, value: fast }]
          ports: [{ name: http, containerPort: 8080 }]
`;

test('an annotated Deployment becomes pods with a sidecar each, on ports of their own', async () => {
  const pods = await plan(deployment('true', 2));
  expect(pods.map((pod) => pod.name)).toEqual(['web-0', 'web-1']);
  const [first] = pods;
  expect(first).toMatchObject({
    namespace: 'shop',
    workload: 'web',
    serviceAccount: 'web-sa',
    labels: { app: 'web' },
    ports: [{ port: 8080, app: 101, listen: 102 }],
    sidecar: { outbound: 103, admin: 104 },
  });
  expect(first?.programs).toEqual([
    {
      container: 'web',
      argv: ['node', 'server.ts', '--verbose'],
      cwd: '/yaml',
      variables: [{ name: 'MODE', value: 'fast' }],
    },
  ]);
  const all = pods.flatMap((pod) => [
    ...pod.ports.flatMap((p) => [p.app, p.listen]),
    pod.sidecar?.admin,
  ]);
  expect(new Set(all).size).toBe(all.length);
});

test('a Deployment that is not annotated is called directly', async () => {
  const [pod] = await plan(deployment('false', 1));
  expect(pod?.sidecar).toBeNull();
  expect(pod?.ports).toMatchObject([{ port: 8080, name: 'http', app: 101, listen: 101 }]);
});

test('no replicas are no pods', async () => {
  expect(await plan(deployment('true', 0))).toEqual([]);
});

test('a bare Pod runs once', async () => {
  const pods = await plan(`
apiVersion: v1
kind: Pod
metadata: { name: job, namespace: shop, annotations: { inject: "true" } }
spec: { containers: [{ name: job, command: [sh, run.sh] }] }
`);
  expect(pods.map((pod) => pod.programs[0]?.argv)).toEqual([['sh', 'run.sh']]);
});

const workloads = (text: string) => localWorkloads(modelOf(text), (file) => `/yaml/${file}`);

test('a pod that stays keeps its ports, and one that comes gets others', async () => {
  let next = 100;
  const take = async (): Promise<number> => (next += 1);
  const before = await planPods(workloads(deployment('true', 1)), take);
  const after = await planPods(workloads(deployment('true', 2)), take, before);
  expect(after[0]).toEqual(before[0]);
  expect(after[1]?.ports[0]?.app).toBeGreaterThan(before[0]?.sidecar?.admin ?? 0);
});

test('a port is known by the name of the container and by that of the Service', async () => {
  const service = `
apiVersion: v1
kind: Service
metadata: { name: web, namespace: shop }
spec: { selector: { app: web }, ports: [{ name: http-front, port: 80, targetPort: http }] }
---`;
  const [pod] = await plan(`${service}${deployment('true', 1)}`);
  expect(pod?.ports).toMatchObject([{ name: 'http', names: ['http', 'http-front'] }]);
});

test('pods of one name in two namespaces are told apart', async () => {
  const other = deployment('true', 1).replace('namespace: shop', 'namespace: club');
  const pods = await plan(`${deployment('true', 1)}---${other}`);
  expect(pods.map(({ title }) => title)).toEqual(['shop/web-0', 'club/web-0']);
});

const serviceYaml = (name: string, namespace: string, ports: string): string => `
---
apiVersion: v1
kind: Service
metadata: { name: ${name}, namespace: ${namespace} }
spec: { selector: { app: ${name} }, ports: [${ports}] }
`;

test('a pod with a sidecar gets a port for each TCP service of its namespace, and keeps it', async () => {
  const mysql = '{ name: mysql, port: 3306 }, { name: http-admin, port: 80 }';
  const text =
    deployment('true', 1) +
    serviceYaml('db', 'shop', mysql) +
    serviceYaml('mail', 'shop', '{ name: out, port: 25 }, { name: dns, port: 53, protocol: UDP }') +
    serviceYaml('cache', 'other', '{ name: redis, port: 6379 }');
  const [pod] = await plan(text);
  expect(pod?.bytesPorts).toEqual([
    { service: 'db', host: 'db.shop', port: 3306, name: 'mysql', listen: 105 },
    { service: 'mail', host: 'mail.shop', port: 25, name: 'out', listen: 106 },
  ]);
  const workloads = localWorkloads(modelOf(text), (file) => file);
  const again = await planPods(workloads, async () => 999, pod === undefined ? [] : [pod]);
  expect(again[0]?.bytesPorts).toEqual(pod?.bytesPorts);
  const [outside] = await plan(text.replace('"true"', '"false"'));
  expect(outside?.bytesPorts).toEqual([]);
});

test('a program learns first of the port that it is called at, not of one that a Sidecar leads there', async () => {
  const [pod] = await plan(`${deployment('true', 1)}
---
apiVersion: v1
kind: Service
metadata: { name: web, namespace: shop }
spec: { selector: { app: web }, ports: [{ port: 80, targetPort: 9090 }] }
---
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: { name: web, namespace: shop }
spec: { ingress: [{ port: { number: 9090, protocol: HTTP, name: http }, defaultEndpoint: "127.0.0.1:8080" }] }
`);
  expect(pod?.ports.map(({ port }) => port)).toEqual([8080, 9090]);
});
