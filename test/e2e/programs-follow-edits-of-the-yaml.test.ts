// Deployments are edited while the mesh runs: programs start, end and start anew, and a person is told.
import { readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { afterAll, beforeAll, expect, test } from 'vitest';

import { announcementFolder, readAnnouncements } from '#cli/sidecars/announcement.ts';

import { eventually, TestMesh } from './local-mesh.ts';

let mesh: TestMesh;
let file = '';
beforeAll(async () => {
  mesh = await TestMesh.start(join(import.meta.dirname, 'data/streams'));
  file = join(mesh.folder, 'mesh.yaml');
  mesh.running.follow();
});
afterAll(() => mesh.stop());

async function edit(from: string, to: string): Promise<void> {
  const text = await readFile(file, 'utf8');
  expect(text).toContain(from);
  await writeFile(file, text.replaceAll(from, to));
}

const said = (pattern: RegExp): Promise<string> =>
  eventually(
    async () => mesh.output(),
    (output) => pattern.test(output),
  );

/** Those that other commands find. */
async function toldPods(): Promise<string[]> {
  const [told] = await readAnnouncements(announcementFolder(mesh.env));
  return told?.sidecars.map(({ pod }) => pod) ?? [];
}

const answersOf = (url: string, wanted: (body: string) => boolean) =>
  eventually(
    () => mesh.call('client', 'GET', url),
    ({ status, body }) => status === 200 && wanted(body),
  );

test('another variable starts the programs again, behind the sidecars that run', async () => {
  const before = mesh.running.pids();
  await edit('value: first', 'value: second');
  await answersOf('http://pages.site/', (body) => body.includes('second'));
  await said(/site\/pages: env changed, started again/);
  const after = mesh.running.pids();
  expect(after.get('sidecar/pages-0')).toBe(before.get('sidecar/pages-0'));
  expect(after.get('app/pages-0')).not.toBe(before.get('app/pages-0'));
  expect(after.get('app/lines-0')).toBe(before.get('app/lines-0'));
});

test('fewer replicas end, more start', async () => {
  await edit('replicas: 2', 'replicas: 1');
  await said(/site\/pages: 1 pod ended/);
  expect([...mesh.running.pids().keys()]).not.toContain('sidecar/pages-1');
  expect(await toldPods()).not.toContain('pages-1');
  await edit('replicas: 1', 'replicas: 2');
  await said(/site\/pages: 1 pod more started/);
  await answersOf('http://pages.site/', (body) => body.includes('pages-1'));
  expect(await toldPods()).toContain('pages-1');
});

const added = `apiVersion: v1
kind: Service
metadata: { name: news, namespace: site }
spec: { selector: { app: news }, ports: [{ name: http, port: 80, targetPort: web }] }
---
apiVersion: apps/v1
kind: Deployment
metadata: { name: news, namespace: site, annotations: { inject: "true" } }
spec:
  selector: { matchLabels: { app: news } }
  template:
    metadata: { labels: { app: news } }
    spec:
      containers:
        - name: news
          command: [node, pages.ts]
          env: [{ name: EDITION, value: news }]
          ports: [{ name: web, containerPort: 5000 }]
`;

test('a Deployment and its Service come with a file, stay when it is renamed, and go with it', async () => {
  await writeFile(join(mesh.folder, 'news.yaml'), added);
  await said(/site\/news: 1 pod started/);
  await said(/http:\/\/news\.site:80 leads to site\/news now/);
  await answersOf('http://news.site/', (body) => body.includes('news'));
  const pid = mesh.running.pids().get('app/news-0');
  await rename(join(mesh.folder, 'news.yaml'), join(mesh.folder, 'late.yaml'));
  await answersOf('http://news.site/', (body) => body.includes('news'));
  await rm(join(mesh.folder, 'late.yaml'));
  await said(/site\/news: 1 pod ended/);
  expect(pid).toBeDefined();
  expect(() => process.kill(pid ?? 0, 0)).toThrow('ESRCH');
});

test('a mistake in one file keeps its last good form, and edits of others go on', async () => {
  const policies = join(mesh.folder, 'policies.json');
  const good = await readFile(policies, 'utf8');
  await writeFile(policies, good.replace('"rules"', '"ruels"').replace('"site"', '{'));
  await said(/mesh\/policies\.json:\d+.*\n.*last good content \(1 resource\) stays in force/);
  await edit('value: second', 'value: third');
  const { body } = await answersOf('http://pages.site/', (text) => text.includes('third'));
  expect(body).toMatch(/^pages-[01] third\n$/);
});

test('what only a new start can follow is said', async () => {
  await writeFile(
    join(mesh.folder, 'config.yaml'),
    'kind: MeshConfig\ntrustDomain: other.example\n',
  );
  expect(
    await said(/! the trust domain is other\.example now, .*: end it and start it again/),
  ).toContain('every certificate of this mesh says cluster.local');
});
