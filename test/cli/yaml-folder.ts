// A folder of YAML for one test, and an Io that has it as its working directory.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { onTestFinished } from 'vitest';

import { testIo, type TestIo } from './output.ts';

/** @param files by name, without folders. The folder is gone when the test is. */
export async function folderOf(
  files: Readonly<Record<string, string>>,
): Promise<{ readonly path: string; readonly io: () => TestIo }> {
  const path = await mkdtemp(join(tmpdir(), 'selvage-cli-'));
  onTestFinished(() => rm(path, { recursive: true, force: true }));
  for (const [name, text] of Object.entries(files)) await writeFile(join(path, name), text);
  return { path, io: () => ({ ...testIo(), cwd: path }) };
}

/** A workload `shop/cart` on port 8080 that `shop/web` may call, then documents of policies. */
export function meshOf(...policies: readonly string[]): string {
  return [workload('cart'), workload('web'), ...policies].join('\n---\n');
}

/** @param rules a YAML flow list */
export function policyOf(
  name: string,
  action: 'ALLOW' | 'DENY',
  rules: string,
  dryRun = false,
): string {
  const annotations = dryRun ? ', annotations: { istio.io/dry-run: "true" }' : '';
  return `apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: ${name}, namespace: shop${annotations} }
spec: { selector: { matchLabels: { app: cart } }, action: ${action}, rules: ${rules} }`;
}

function workload(name: string): string {
  return `apiVersion: v1
kind: Service
metadata: { name: ${name}, namespace: shop }
spec: { selector: { app: ${name} }, ports: [{ name: http, port: 8080 }] }
---
apiVersion: apps/v1
kind: Deployment
metadata: { name: ${name}, namespace: shop, annotations: { inject: "true" } }
spec:
  selector: { matchLabels: { app: ${name} } }
  template:
    metadata: { labels: { app: ${name} } }
    spec:
      serviceAccountName: ${name}-sa
      containers: [{ name: ${name}, image: x, ports: [{ name: http, containerPort: 8080 }] }]`;
}
