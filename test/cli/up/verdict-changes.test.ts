// What an edit changes, call by call.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, expect, test } from 'vitest';

import { loadModel } from '#cli/calls/model.ts';
import { verdictChanges } from '#cli/up/verdict-changes.ts';

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'selvage-changes-'));
});
afterAll(() => rm(folder, { recursive: true }));

const workloads = ['web', 'payments']
  .map(
    (name) => `
apiVersion: apps/v1
kind: Deployment
metadata: { name: ${name}, namespace: shop, annotations: { inject: "true" } }
spec:
  selector: { matchLabels: { app: ${name} } }
  template:
    metadata: { labels: { app: ${name} } }
    spec: { serviceAccountName: ${name}, containers: [{ name: a, ports: [{ containerPort: 8080 }] }] }
---`,
  )
  .join('');

const policy = (paths: string) => `
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: admit, namespace: shop }
spec:
  selector: { matchLabels: { app: payments } }
  rules:
    - from: [{ source: { principals: [cluster.local/ns/shop/sa/web] } }]
      to: [{ operation: { methods: [POST], paths: [${paths}] } }]
`;

async function model(text: string) {
  const file = join(folder, 'mesh.yaml');
  await writeFile(file, text);
  return loadModel([file], folder);
}

test('a path that moves shows the calls that lose and those that gain', async () => {
  const before = await model(workloads + policy('/charges'));
  const after = await model(workloads + policy('/payments'));
  const changes = await verdictChanges(before, after);
  expect(
    changes.map(({ call, before: was, after: is }) => [call.from, call.method, call.path, was, is]),
  ).toEqual([
    ['shop/web', 'POST', '/charges', 'allow', 'deny'],
    ['shop/web', 'POST', '/payments', 'deny', 'allow'],
  ]);
  expect(changes[1]?.why).toContain('admit');
});

test('the same YAML in other words changes nothing', async () => {
  const before = await model(workloads + policy('/charges'));
  const after = await model(workloads + policy('"/charges"'));
  expect(await verdictChanges(before, after)).toEqual([]);
});

test('a policy that goes away lets everybody in again', async () => {
  const before = await model(workloads + policy('/charges'));
  const after = await model(workloads);
  const changes = await verdictChanges(before, after);
  expect(changes.length).toBeGreaterThan(3);
  expect(changes.every((change) => change.after === 'allow')).toBe(true);
});
