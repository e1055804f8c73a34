// The API server that KUBECONFIG names, as its administrator; and why there is none, where there is none.
import { readKubeconfig } from '#cli/cluster/kubeconfig.ts';
import type { ClusterAccess } from '#runtime/kubernetes/access.ts';

/** Null, with a word on stderr: there is no cluster. */
export async function reachedApiServer(): Promise<ClusterAccess | null> {
  if ((process.env['KUBECONFIG'] ?? '') === '') {
    process.stderr.write(
      'skipped: KUBECONFIG names no cluster (start one, run vitest under its exec)\n',
    );
    return null;
  }
  return readKubeconfig({ env: process.env });
}
