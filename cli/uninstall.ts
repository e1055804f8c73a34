// `selvage uninstall`: takes away what `install` made. CRDs stay unless asked for: with them all policies would go.
import { readArguments } from './arguments.ts';
import { clusterOptions, openCluster, type OpenCluster, runInCluster } from './cluster/cluster.ts';
import { deleteObject } from './install/apply.ts';
import { systemObjects } from './install/objects.ts';
import { defaultOptions } from './install/options.ts';
import type { Io } from './io.ts';

/** Exit status 0: done; 2: wrong usage, something in the way, or the cluster cannot be asked. */
export async function uninstall(
  args: string[],
  io: Io,
  open: OpenCluster = openCluster,
): Promise<number> {
  return runInCluster(
    { name: 'uninstall', io, open },
    () => readArguments(args, clusterOptions).values,
    async ({ client }) => {
      // Webhooks first: without their injector they would hold up every pod that wants a sidecar.
      for (const object of systemObjects(defaultOptions('none')).toReversed()) {
        const removed = await deleteObject(client, object);
        if (removed) io.stdout.write(`${object.kind}/${object.metadata.name} deleted\n`);
      }
      return 0;
    },
  );
}
