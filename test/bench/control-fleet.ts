// Many sidecars' connections to control in one process, for control-rig.ts.
import { silentLog } from '#runtime/log.ts';
import { ControlClient } from '#sidecar/config/control-client.ts';

/** What to connect. */
export interface Fleet {
  readonly port: number;
  /** One for each namespace. */
  readonly credentials: { readonly key: string; readonly cert: string; readonly ca: string }[];
  readonly perNamespace: number;
  readonly podsEach: number;
}

/** When snapshots were put in force: Date.now() of each. */
export interface Applied {
  readonly times: number[];
}

let times: number[] = [];

process.on('message', ({ port, credentials, perNamespace, podsEach }: Fleet) => {
  for (const [n, own] of credentials.entries()) {
    for (let i = 0; i < perNamespace * podsEach; i++) {
      const workload = `app-${Math.floor(i / podsEach)}`;
      const client = new ControlClient({
        url: new URL(`https://127.0.0.1:${port}`),
        namespace: `ns-${n}`,
        workload,
        pod: `${workload}-${i % podsEach}`,
        version: 'bench',
        controlIdentity: 'spiffe://cluster.local/ns/selvage-system/sa/selvage-control',
        credentials: () => own,
        apply: () => times.push(Date.now()),
        log: silentLog,
      });
      void client.start();
    }
  }
});

setInterval(() => {
  if (times.length === 0) return;
  process.send?.({ times } satisfies Applied);
  times = [];
}, 20);
