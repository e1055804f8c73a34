// MeshConfig of the cluster, where control reads it; a test sets it for a while.
import { apply, kubectl, kubectlOutcome } from './cluster.ts';

const namespace = 'selvage-system';

export class MeshConfigMap {
  /** The data that was there; null: there was none. Undefined: it has not been set. */
  #before: object | null | undefined;

  /** JSON is YAML. */
  async set(mesh: object): Promise<void> {
    this.#before ??= await read();
    await write({ mesh: JSON.stringify(mesh) });
  }

  async restore(): Promise<void> {
    if (this.#before === undefined) return;
    if (this.#before !== null) await write(this.#before);
    else await kubectl('-n', namespace, 'delete', 'configmap', 'istio');
  }
}

async function read(): Promise<object | null> {
  const args = ['-n', namespace, 'get', 'configmap', 'istio', '--ignore-not-found', '-o', 'json'];
  const { status, stdout, stderr } = await kubectlOutcome(args);
  if (status !== 0) throw new Error(stderr);
  return stdout === '' ? null : ((JSON.parse(stdout) as { data?: object }).data ?? {});
}

async function write(data: object): Promise<void> {
  const metadata = { name: 'istio', namespace };
  await apply(JSON.stringify({ apiVersion: 'v1', kind: 'ConfigMap', metadata, data }));
}
