// Many sidecars' connections to control in one process, for control.ts.
import { silentLog } from '#runtime/log.ts';
import { ControlClient } from '#sidecar/config/control-client.ts';

/** What to connect. */
export interface Fleet {
  readonly port: number;
  /** One for each namespace. */
  readonly credentials: { readonly key: string; readonly cert: string; readonly ca: string }[];
  readonly perNamespace: number;
}

/** When snapshots were put in force: Date.now() of each. */
export interface Applied {
  readonly times: number[];
}

let times: number[] = [];

process.on('message', ({ port, credentials, perNamespace }: Fleet) => {
  for (const [n, own] of credentials.entries()) {
    for (let i = 0; i < perNamespace; i++) {
      const client = new ControlClient({
        url: new URL(`https://127.0.0.1:${port}`),
        namespace: `ns-${n}`,
        workload: `app-${i}`,
        pod: `app-${i}-0`,
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
