// Installs Selvage once for all tests in a cluster, as README says: with kubectl and manifests/overlays/dev.
import { join } from 'node:path';

import { kubeconfig, kubectl, kubectlOutcome, until } from './cluster.ts';

const overlay = join(import.meta.dirname, '../../../manifests/overlays/dev');

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
  await webhooksAnswer();
}

/** That pods of the injector are ready does not mean that the API server finds its way to them already. */
async function webhooksAnswer(): Promise<void> {
  const container = { name: 'app', image: 'none.invalid/none' };
  const dryRun = ['create', '--dry-run=server', '-o', 'yaml', '-f', '-'];
  const pod = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'probe', namespace: 'default', annotations: { inject: 'true' } },
    spec: { containers: [container] },
  };
  await until(
    'a pod gets a sidecar',
    () => kubectlOutcome(dryRun, JSON.stringify(pod)),
    ({ stdout }) => stdout.includes('name: selvage-proxy'),
  );
  const policy = {
    apiVersion: 'security.istio.io/v1',
    kind: 'AuthorizationPolicy',
    metadata: { name: 'probe', namespace: 'default' },
    spec: {},
  };
  await until(
    'a policy is validated',
    () => kubectlOutcome(dryRun, JSON.stringify(policy)),
    ({ status }) => status === 0,
  );
}
