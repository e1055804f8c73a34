// The sidecar put together: identity, then configuration, then what carries traffic, then ready.
import { availableParallelism } from 'node:os';

import type { Snapshot } from '#api/snapshot.ts';
import type { Log, ProcessLog } from '#runtime/log.ts';
import type { Closer } from '#runtime/shutdown.ts';

import { startSidecarAdmin } from './admin/admin.ts';
import { onePlane, type Planes } from './admin/planes.ts';
import { processFamilies, type ProcessParts } from './admin/process-families.ts';
import { createConfiguration } from './configuration.ts';
import { startDataPlane, type Ports } from './data-plane.ts';
import type { DnsServer } from './dns/server.ts';
import { createCaIdentity } from './identity/from-ca.ts';
import { FileIdentity } from './identity/from-files.ts';
import type { Identity } from './identity/identity.ts';
import { InForce } from './in-force.ts';
import { logLeftOut } from './left-out.ts';
import { startPodPorts } from './probes/pod-ports.ts';
import type { SidecarSettings } from './settings.ts';

export interface Sidecar extends Ports {
  readonly adminPort: number;
  /** Those of SELVAGE_METRICS, SELVAGE_HEALTH and SELVAGE_PROMETHEUS that are set, in this order. */
  readonly podPorts: readonly number[];
  /** In the order in which they are to be closed. */
  readonly closers: readonly Closer[];
}

/** Starts everything; rejects with the first thing that is wrong. */
export async function startSidecar(settings: SidecarSettings, log: ProcessLog): Promise<Sidecar> {
  const inForce = new InForce();
  const identity = createIdentity(settings, log);
  await identity.start();
  const configuration = createConfiguration({
    settings,
    inForce,
    svid: () => identity.current(),
    log,
  });
  await configuration.start();
  logLeftOut(inForce, log);
  const planes = withProcess(await startPlanes(settings, inForce, identity, log), {
    identity,
    inForce,
    configuration,
  });
  const upgrade =
    settings.upgradeSocket === ''
      ? null
      : await (await import('./upgrade.ts')).takeOver(settings.upgradeSocket, log);
  const admin = await startSidecarAdmin({
    settings,
    inForce,
    identity,
    configuration,
    planes,
    log,
  });
  const podPorts = await startPodPorts({
    settings,
    families: () => planes.families(),
    ready: () => admin.ready(),
    log,
  });
  for (const port of [admin.port, ...podPorts.ports]) planes.noteOwnPort(port);
  const dns = await startDns(settings, inForce, log);
  upgrade?.offer(async () => void (await Promise.all([admin.close(), podPorts.close()])));
  return {
    ...planes.ports,
    adminPort: admin.port,
    podPorts: podPorts.ports,
    closers: [
      { name: 'readiness', close: () => admin.setDraining() },
      ...planes.closers,
      { name: 'names', close: () => dns?.close() },
      { name: 'configuration', close: () => configuration.stop() },
      { name: 'identity', close: () => identity.stop() },
      { name: 'upgrade socket', close: () => upgrade?.close() },
      { name: 'pod ports', close: () => podPorts.close() },
      { name: 'admin endpoint', close: () => admin.close() },
    ],
  };
}

/** One worker is this thread itself: nothing of several is loaded. */
async function startPlanes(
  settings: SidecarSettings,
  inForce: InForce,
  identity: Identity,
  log: ProcessLog,
): Promise<Planes> {
  const workers = settings.concurrency === 0 ? availableParallelism() : settings.concurrency;
  if (workers > 1) {
    const { startWorkers } = await import('./workers/workers.ts');
    return startWorkers({ settings, inForce, identity, log, workers });
  }
  const sharedPorts = settings.upgradeSocket !== '';
  return onePlane(await startDataPlane({ settings, inForce, identity, sharedPorts, log }));
}

/** The metrics of the planes have the process's own before them. */
function withProcess(planes: Planes, parts: ProcessParts): Planes {
  const own = processFamilies(parts);
  return { ...planes, families: async () => [...own(), ...(await planes.families())] };
}

/** Null, and nothing is loaded: the application looks names up elsewhere. */
async function startDns(
  { dnsPort: port, dnsUpstream: upstream, upgradeSocket }: SidecarSettings,
  inForce: InForce,
  log: Log,
): Promise<DnsServer | null> {
  if (port === 0) return null;
  const { startDnsServer } = await import('./dns/server.ts');
  const snapshot = (): Snapshot | null => inForce.current()?.snapshot ?? null;
  return startDnsServer({ port, upstream, snapshot, sharedPort: upgradeSocket !== '', log });
}

function createIdentity(settings: SidecarSettings, log: Log): Identity {
  const { certFile, keyFile, trustBundleFile, ca, tokenFile } = settings;
  if (certFile !== '' || ca === null) {
    return new FileIdentity({ certFile, keyFile, trustBundleFile, log });
  }
  const { namespace, serviceAccount, stateFolder } = settings;
  return createCaIdentity({
    url: ca,
    tokenFile,
    trustBundleFile,
    namespace,
    serviceAccount,
    stateFolder,
    log,
  });
}
