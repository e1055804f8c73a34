import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { readYaml } from '#api/yaml.ts';
import { inject } from '#cli/inject.ts';
import type { KubeClient } from '#runtime/kubernetes/client.ts';

import {
  type InjectorInTest,
  type KubeResource,
  noCluster,
  startInjectorInTest,
} from './injector-in-test.ts';

const cases = join(import.meta.dirname, '../../data/injection');
const names = readdirSync(cases).filter((name) => name.endsWith('.yaml'));
const version = '"version":"0.0.0"';

describe.skipIf(noCluster)('the webhook and selvage inject', () => {
  let cluster: InjectorInTest;
  const folder = mkdtempSync(join(tmpdir(), 'selvage-same-'));
  beforeAll(async () => {
    cluster = await startInjectorInTest();
  });
  afterAll(async () => {
    rmSync(folder, { recursive: true });
    await cluster.close();
  });

  async function offline(text: string): Promise<unknown> {
    writeFileSync(join(folder, 'pod.json'), text);
    let out = '';
    const io = {
      stdout: { write: (part: string) => (out += part) },
      stderr: { write: () => undefined },
      cwd: folder,
      tty: false,
    };
    const image = ['--image', cluster.config.image];
    expect(await inject(['-f', 'pod.json', '-o', 'json', ...image], io)).toBe(0);
    return JSON.parse(
      out.replaceAll(/\\"version\\":\\"[^"\\]*\\"/g, version.replaceAll('"', '\\"')),
    );
  }

  test.each(names)('give the same pods of %s', async (name) => {
    const { documents } = readYaml(readFileSync(join(cases, name), 'utf8'), name);
    const pods = documents.flatMap(({ value }) => podsIn(value));
    const namespace = await cluster.namespace();
    const account = { metadata: { name: 'web-sa' } };
    await cluster.client.create(`/api/v1/namespaces/${namespace}/serviceaccounts`, account);
    for (const pod of pods) {
      const metadata = { ...pod.metadata, name: 'same', namespace };
      const manifest = { ...pod, apiVersion: 'v1', kind: 'Pod', metadata };
      const path = `/api/v1/namespaces/${namespace}/pods`;
      const dry = { dryRun: 'All' };
      const byWebhook = await cluster.client.create<KubeResource>(path, manifest, dry);
      const sent = await asSent(cluster.client, path, manifest);
      const injected = (await offline(JSON.stringify(sent))) as object;
      const byCommand = await cluster.client.create<KubeResource>(path, injected, dry);
      expect(plain(byCommand)).toEqual(plain(byWebhook));
    }
  });
});

/** The pod as the API server sends it to webhooks: with its defaults, and with the token of its service account. */
async function asSent(
  client: KubeClient,
  path: string,
  manifest: { readonly metadata: Readonly<Record<string, unknown>> },
): Promise<object> {
  const { metadata } = manifest;
  const annotations = { ...(metadata['annotations'] as object), inject: 'false' };
  const silent = { ...manifest, metadata: { ...metadata, annotations } };
  const { spec } = await client.create<KubeResource>(path, silent, { dryRun: 'All' });
  return { ...manifest, spec };
}

interface PodLike {
  readonly metadata?: Readonly<Record<string, unknown>>;
  readonly spec: unknown;
}

/** Pods, and templates of pods as if they were ones; only those of a restart policy that a bare Pod may have differ. */
function podsIn(value: unknown): PodLike[] {
  if (typeof value !== 'object' || value === null) return [];
  const { kind, items, spec } = value as Record<string, unknown>;
  if (Array.isArray(items)) return items.flatMap(podsIn);
  if (kind === 'Pod') return [value as PodLike];
  const { template, jobTemplate } = (spec ?? {}) as Record<string, unknown>;
  const templated = jobTemplate ?? (template === undefined ? undefined : value);
  if (templated === undefined) return [];
  const { template: pod } = (templated as { spec: { template: PodLike } }).spec;
  // The workload's own mark is on it: what is compared is the pod.
  return [
    {
      ...pod,
      metadata: {
        ...pod.metadata,
        annotations: { inject: 'true', ...(pod.metadata?.['annotations'] as object) },
      },
    },
  ];
}

/** Names that the API server makes up differ from one to the next. */
function plain({ metadata, spec }: KubeResource): unknown {
  const text = JSON.stringify({ labels: metadata.labels, annotations: metadata.annotations, spec });
  return JSON.parse(text.replaceAll(/kube-api-access-\w+/g, 'kube-api-access'));
}
