// `selvage status`: each sidecar of a cluster, whether it enforces the newest snapshot, and the pods that lack one.
import { setTimeout as pass } from 'node:timers/promises';

import { readArguments } from './arguments.ts';
import { CallError } from './calls/failure.ts';
import {
  type Cluster,
  clusterOptions,
  type ClusterValues,
  describeFailure,
  openCluster,
  type OpenCluster,
  runInCluster,
} from './cluster/cluster.ts';
import { askControl } from './cluster/control.ts';
import { readInventory } from './cluster/inventory.ts';
import { sidecarOf } from './cluster/pods.ts';
import { sidecarCertificates } from './cluster/sidecar-certificates.ts';
import { sidecarEjections } from './cluster/sidecar-ejections.ts';
import { sidecarsOf } from './cluster/sidecars.ts';
import { meshStatus, renderStatus, statusJson } from './cluster/status-table.ts';
import type { Io } from './io.ts';
import { onSignal } from './up/signals.ts';

interface StatusOptions extends ClusterValues {
  /** All where it is left out. */
  readonly namespace?: string;
  readonly watch: boolean;
  /** Ask each sidecar when its certificate ends. */
  readonly certificates: boolean;
  /** Ask each sidecar which endpoints it leaves out. */
  readonly ejections: boolean;
  readonly json: boolean;
}

const watchEveryMs = 2000;
const clear = '\u001B[H\u001B[2J';

/** Exit status 0: every sidecar is in sync and none is missing; 1: not so; 2: wrong usage, or the cluster cannot be asked. */
export async function status(
  args: string[],
  io: Io,
  open: OpenCluster = openCluster,
  interruption: () => AbortSignal = onSignal,
): Promise<number> {
  return runInCluster(
    { name: 'status', io, open },
    () => readOptions(args),
    async (cluster, options) => {
      if (options.watch) return watch(cluster, options, io, interruption());
      const shown = await show(cluster, options, io);
      io.stdout.write(shown.text);
      return shown.well ? 0 : 1;
    },
  );
}

interface Shown {
  readonly text: string;
  readonly well: boolean;
}

async function show(cluster: Cluster, options: StatusOptions, io: Io): Promise<Shown> {
  const [answer, inventory] = await Promise.all([
    askControl(cluster, '/sidecars'),
    readInventory(cluster.client, options.namespace),
  ]);
  const meshed = inventory.pods.filter((pod) => sidecarOf(pod) !== undefined);
  const ends = options.certificates ? await sidecarCertificates(cluster, meshed) : null;
  const ejections = options.ejections ? await sidecarEjections(cluster, meshed) : null;
  const found = meshStatus(sidecarsOf(answer), inventory, { ends, ejections });
  const text = options.json
    ? `${JSON.stringify(statusJson(found), null, 2)}\n`
    : renderStatus(found, Date.now(), io.tty);
  return { text, well: found.well };
}

/** On a terminal the table stays where it is; elsewhere what changed is written again. */
async function watch(
  cluster: Cluster,
  options: StatusOptions,
  io: Io,
  interrupted: AbortSignal,
): Promise<number> {
  let last = '';
  let well = false;
  while (!interrupted.aborted) {
    let text: string;
    try {
      ({ text, well } = await show(cluster, options, io));
    } catch (error) {
      // The cluster may come back; a person is watching.
      if (last === '') throw error;
      text = `${describeFailure(error)}\n`;
      well = false;
    }
    if (io.tty) io.stdout.write(`${clear}${text}`);
    else if (text !== last) io.stdout.write(last === '' ? text : `\n${text}`);
    last = text;
    await pass(watchEveryMs, null, { signal: interrupted }).catch(() => undefined);
  }
  return well ? 0 : 1;
}

function readOptions(args: string[]): StatusOptions {
  const { values, positionals } = readArguments(args, {
    ...clusterOptions,
    namespace: { type: 'string', short: 'n' },
    watch: { type: 'boolean', short: 'w' },
    certificates: { type: 'boolean' },
    ejections: { type: 'boolean' },
    output: { type: 'string', short: 'o' },
  });
  if (positionals.length > 0) throw new CallError(`what is "${positionals[0]}"? give only options`);
  const { watch = false, certificates = false, ejections = false, output = 'text' } = values;
  if (output !== 'text' && output !== 'json') {
    throw new CallError(`--output is text or json, not "${output}"`);
  }
  const { kubeconfig, context, namespace } = values;
  const json = output === 'json';
  return { kubeconfig, context, namespace, watch, certificates, ejections, json };
}
