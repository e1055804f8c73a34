// Asks the admin endpoint of each sidecar, in its pod, for what it does not tell control.
import { ports, proxyName } from '#api/injection/names.ts';

import type { Cluster } from './cluster.ts';
import type { LivePod } from './pods.ts';

const atOnceMax = 8;

/**
 * What `read` makes of each answer, by `namespace/pod`; of a sidecar that does not answer nothing is known.
 * @param path of the admin endpoint
 * @param read gets the JSON; null is no answer either
 */
export async function askEachSidecar<T>(
  cluster: Cluster,
  pods: readonly LivePod[],
  path: string,
  read: (answer: unknown) => T | null,
): Promise<ReadonlyMap<string, T>> {
  const program =
    `fetch('http://127.0.0.1:${ports.admin}${path}').then((r)=>r.text())` +
    `.then((text)=>process.stdout.write(text))`;
  const command = ['node', '-e', program];
  const found = new Map<string, T>();
  const queue = [...pods];
  const ask = async ({ namespace, name: pod }: LivePod): Promise<T | null> => {
    const { stdout } = await cluster.exec({ namespace, pod, container: proxyName, command });
    return read(JSON.parse(stdout));
  };
  const work = async (): Promise<void> => {
    for (let pod = queue.pop(); pod !== undefined; pod = queue.pop()) {
      const answer = await ask(pod).catch(() => null);
      if (answer !== null) found.set(`${pod.namespace}/${pod.name}`, answer);
    }
  };
  await Promise.all(Array.from({ length: atOnceMax }, work));
  return found;
}
