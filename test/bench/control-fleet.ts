// Many sidecars' connections to control in one process, for control-rig.ts: real receivers, or thin ones that only read and answer.
import { silentLog } from '#runtime/log.ts';
import type { Svid } from '#runtime/tls/svid.ts';
import { ControlClient } from '#sidecar/config/control-client.ts';
import { InForce } from '#sidecar/in-force.ts';
import { Upstreams } from '#sidecar/upstream/upstreams.ts';

import { openReceiver } from './control-receiver.ts';

/**
 * What to connect. A thousand sidecars in one process parse and apply one after the other what each would do on a machine of
 * its own, so only a sample does: the others take the bytes off the wire and answer.
 */
export interface Fleet {
  readonly kind: 'thin' | 'real';
  readonly port: number;
  /** One for each namespace. */
  readonly credentials: readonly Svid[];
  readonly perNamespace: number;
  readonly podsEach: number;
  /** Of so many sidecars one is real. */
  readonly realEach: number;
}

/** When snapshots were there (thin) or in force (real): Date.now() of each. */
export interface Applied {
  readonly times: number[];
}

interface Sidecar {
  readonly namespace: string;
  readonly workload: string;
  readonly pod: string;
  readonly svid: Svid;
}

let times: number[] = [];
const applied = (): void => void times.push(Date.now());

process.on('message', (fleet: Fleet) => {
  const start = fleet.kind === 'real' ? startReal : startThin;
  for (const sidecar of sidecarsOf(fleet)) start(fleet.port, sidecar);
});

setInterval(() => {
  if (times.length === 0) return;
  process.send?.({ times } satisfies Applied);
  times = [];
}, 20);

function sidecarsOf({ kind, credentials, perNamespace, podsEach, realEach }: Fleet): Sidecar[] {
  const all = credentials.flatMap((svid, n) =>
    Array.from({ length: perNamespace * podsEach }, (_, i): Sidecar => {
      const workload = `app-${Math.floor(i / podsEach)}`;
      return { namespace: `ns-${n}`, workload, pod: `${workload}-${i % podsEach}`, svid };
    }),
  );
  // From the middle of each group, so that neither the first nor the last of a round is always one.
  const isReal = (index: number): boolean => index % realEach === Math.floor(realEach / 2);
  return all.filter((_, index) => isReal(index) === (kind === 'real'));
}

function startThin(port: number, { svid, ...who }: Sidecar): void {
  const hello = { type: 'hello', ...who, version: 'bench', have: 0 };
  openReceiver(port, svid, JSON.stringify(hello), applied);
}

/** Without listeners; all that a snapshot is compiled into is there. */
function startReal(port: number, { svid, ...who }: Sidecar): void {
  const inForce = new InForce();
  const upstreams = new Upstreams(svid);
  inForce.onChange(({ routes }) => upstreams.update(routes));
  const client = new ControlClient({
    ...who,
    url: new URL(`https://127.0.0.1:${port}`),
    version: 'bench',
    controlIdentity: 'spiffe://cluster.local/ns/selvage-system/sa/selvage-control',
    credentials: () => ({ key: svid.keyPem, cert: svid.chainPem, ca: svid.trustBundlePem }),
    apply: (snapshot) => {
      inForce.apply(snapshot);
      applied();
    },
    log: silentLog,
  });
  void client.start();
}
