// When the certificates of sidecars end: each is asked in its pod, since they renew them without telling control.
import type { Cluster } from './cluster.ts';
import { askEachSidecar } from './each-sidecar.ts';
import { JsonFields } from './json-fields.ts';
import type { LivePod } from './pods.ts';

/** By `namespace/pod`; of a sidecar that does not answer nothing is known. */
export function sidecarCertificates(
  cluster: Cluster,
  pods: readonly LivePod[],
): Promise<ReadonlyMap<string, number>> {
  return askEachSidecar(cluster, pods, '/status', (answer) =>
    new JsonFields(answer).time('certificateNotAfter'),
  );
}
