// When the certificates of sidecars end: each is asked in its pod, since they renew them without telling control.
import { ports, proxyName } from '#api/injection/names.ts';

import type { Cluster } from './cluster.ts';
import { JsonFields } from './json-fields.ts';
import type { LivePod } from './pods.ts';

const atOnceMax = 8;
const program =
  `fetch('http://127.0.0.1:${ports.admin}/status').then((r)=>r.text())` +
  `.then((text)=>process.stdout.write(text))`;

/** By `namespace/pod`; of a sidecar that does not answer nothing is known. */
export async function sidecarCertificates(
  cluster: Cluster,
  pods: readonly LivePod[],
): Promise<ReadonlyMap<string, number>> {
  const found = new Map<string, number>();
  const queue = [...pods];
  const work = async (): Promise<void> => {
    for (let pod = queue.pop(); pod !== undefined; pod = queue.pop()) {
      const endsMs = await certificateEnd(cluster, pod).catch(() => null);
      if (endsMs !== null) found.set(`${pod.namespace}/${pod.name}`, endsMs);
    }
  };
  await Promise.all(Array.from({ length: atOnceMax }, work));
  return found;
}

async function certificateEnd(
  cluster: Cluster,
  { namespace, name: pod }: LivePod,
): Promise<number | null> {
  const command = ['node', '-e', program];
  const { stdout } = await cluster.exec({ namespace, pod, container: proxyName, command });
  return new JsonFields(JSON.parse(stdout)).time('certificateNotAfter');
}
