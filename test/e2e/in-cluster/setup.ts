// Installs Selvage once for all tests in a cluster, as README says: with kubectl and manifests/overlays/dev.
import { join } from 'node:path';

import { proxyName } from '#api/injection/names.ts';

import { kubeconfig, kubectl, kubectlOutcome, type Outcome, until } from './cluster.ts';

const overlay = join(import.meta.dirname, '../../../manifests/overlays/dev');

const podThatAsks = {
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'asks', annotations: { inject: 'true' } },
  spec: { containers: [{ name: 'app', image: 'selvage/shop:dev' }] },
};

/** The CRD takes it, the webhook does not. */
const policyOfNoAddress = {
  apiVersion: 'security.istio.io/v1',
  kind: 'AuthorizationPolicy',
  metadata: { name: 'refused' },
  spec: { rules: [{ from: [{ source: { ipBlocks: ['10.0.0.300'] } }] }] },
};

/** Vitest's global setup. */
export async function setup(): Promise<void> {
  if (kubeconfig === '') {
    process.stderr.write('skipped: tests in a cluster, since KUBECONFIG names none\n');
    return;
  }
  // What the API server does not know yet (kinds of CRDs of the same call) it knows a moment later.
  await until(
    'kubectl apply -k',
    () => kubectlOutcome(['apply', '--server-side', '-k', overlay]),
    ({ status }) => status === 0,
  );
  for (const part of ['ca', 'control', 'injector']) {
    const deployment = `deployment/selvage-${part}`;
    await kubectl('-n', 'selvage-system', 'rollout', 'status', deployment, '--timeout=240s');
  }
  await served();
}

/**
 * Waits until the API server asks both webhooks and trusts them: it learns of them, and of their caBundle, a moment after
 * the injector is ready. Until then what asks for a sidecar is refused or, worse, made without one.
 */
async function served(): Promise<void> {
  await until(
    'a pod that asks for a sidecar gets one',
    () => dryRun(podThatAsks, 'jsonpath={.spec.initContainers[*].name}'),
    ({ status, stdout }) => status === 0 && stdout.split(' ').includes(proxyName),
  );
  await until(
    'what is no address is refused by the webhook',
    () => dryRun(policyOfNoAddress, 'name'),
    ({ stderr }) => stderr.includes('"validation.selvage.dev" denied the request'),
  );
}

function dryRun(object: object, output: string): Promise<Outcome> {
  const args = ['create', '-n', 'default', '--dry-run=server', '-o', output, '-f', '-'];
  return kubectlOutcome(args, JSON.stringify(object));
}
