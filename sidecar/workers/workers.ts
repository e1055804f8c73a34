// Several workers on the same ports: one certificate, one snapshot and one admin endpoint for all of them.
import type { ProcessLog } from '#runtime/log.ts';

import type { Planes } from '../admin/planes.ts';
import type { ClusterView } from '../admin/views.ts';
import type { ConnectionCounts, Ports } from '../data-plane.ts';
import type { Identity } from '../identity/identity.ts';
import type { InForce } from '../in-force.ts';
import { Observed } from '../observe/observed.ts';
import type { Ask } from '../observe/questions.ts';
import type { SidecarSettings } from '../settings.ts';
import { mergeFamilies, type Family, type NumberFamily } from '../telemetry/families.ts';
import type { ToWorker, WorkerReport, WorkerStart } from './messages.ts';
import { Slot } from './slot.ts';

export interface WorkersParts {
  readonly settings: SidecarSettings;
  readonly inForce: InForce;
  readonly identity: Identity;
  readonly log: ProcessLog;
  /** At least 2. */
  readonly workers: number;
}

/** Beside this file, as source or as a bundle. */
const workerUrl = new URL(
  import.meta.url.endsWith('.ts') ? './worker.ts' : './worker.js',
  import.meta.url,
);

/** What a worker that starts later, or anew, is to be told again. */
interface Told {
  settings: SidecarSettings;
  readonly ownPorts: number[];
  draining: boolean;
}

/** Rejects when a worker cannot start at first; one that crashes later is started anew. */
export async function startWorkers(parts: WorkersParts, url = workerUrl): Promise<Planes> {
  const { inForce, identity, log } = parts;
  const told: Told = { settings: parts.settings, ownPorts: [], draining: false };
  let restarts = 0;
  const begin = (): WorkerStart => {
    const { snapshot, limits } = inForce.current() ?? never();
    const tables = limits?.tables ?? null;
    return { ...told, svid: identity.current(), snapshot, tables, level: log.level };
  };
  const onRestart = (): void => void (restarts += 1);
  const slots = Array.from(
    { length: parts.workers },
    (_, number) => new Slot({ number, url, begin, log, onRestart }),
  );
  const tellAll = (message: ToWorker): void => slots.forEach((slot) => slot.tell(message));
  // From now on: what changes while a worker starts waits in its port.
  identity.onChange((svid) => tellAll({ kind: 'svid', svid }));
  inForce.onChange(({ snapshot, limits }) =>
    tellAll({ kind: 'snapshot', snapshot, tables: limits?.tables ?? null }),
  );
  const [first, ...others] = slots;
  const ports = await (first ?? never()).start();
  // The first one has found free ports where the system was to choose: the others share them.
  told.settings = withPorts(told.settings, ports);
  await Promise.all(others.map((slot) => slot.start()));
  const reports = async (): Promise<WorkerReport[]> => {
    const all = await Promise.all(slots.map((slot) => slot.report()));
    return all.filter((report) => report !== null);
  };
  return {
    ports,
    closers: [
      { name: 'workers', close: async () => void (await Promise.all(slots.map(closeSlot))) },
    ],
    families: async () => familiesOf(await reports(), restarts),
    clusters: async () => mergeClusters((await reports()).map(({ clusters }) => clusters)),
    connections: async () => sumConnections(await reports()),
    observed: new Observed(
      slots.map(
        (slot): Ask =>
          (question) =>
            slot.ask(question),
      ),
    ),
    drain() {
      told.draining = true;
      tellAll({ kind: 'drain' });
    },
    setLevel: (level) => tellAll({ kind: 'level', level }),
    noteOwnPort(port) {
      told.ownPorts.push(port);
      tellAll({ kind: 'own-port', port });
    },
  };
}

function closeSlot(slot: Slot): Promise<void> {
  return slot.close();
}

function withPorts(settings: SidecarSettings, ports: Ports): SidecarSettings {
  return {
    ...settings,
    inbound: settings.inbound.map((mapping, i) => ({
      ...mapping,
      listen: { ...mapping.listen, port: ports.inboundPorts[i] ?? mapping.listen.port },
    })),
    captureInbound: { ...settings.captureInbound, port: ports.capturedInboundPort },
    captureOutbound: { ...settings.captureOutbound, port: ports.capturedOutboundPort },
    outbound: settings.outbound && { ...settings.outbound, port: ports.outboundPort },
    outboundPorts: settings.outboundPorts.map((mapping, i) => ({
      ...mapping,
      listen: { ...mapping.listen, port: ports.mappedPorts[i] ?? mapping.listen.port },
    })),
  };
}

function familiesOf(reports: readonly WorkerReport[], restarts: number): Family[] {
  const own = [
    family('selvage_workers', 'Workers that serve at this moment.', 'gauge', reports.length),
    family(
      'selvage_worker_restarts_total',
      'Workers that crashed and were started anew.',
      'counter',
      restarts,
    ),
  ];
  return [...mergeFamilies(reports.map(({ metrics }) => metrics)), ...own];
}

function family(
  name: string,
  help: string,
  type: 'gauge' | 'counter',
  value: number,
): NumberFamily {
  return { name, help, type, samples: [{ labels: '', value }] };
}

/** The same clusters from each worker, their connections and calls summed. */
export function mergeClusters(all: readonly (readonly ClusterView[])[]): ClusterView[] {
  const merged = new Map<string, ClusterView>();
  for (const view of all.flat()) {
    const before = merged.get(view.cluster);
    merged.set(view.cluster, before === undefined ? view : mergeCluster(before, view));
  }
  return [...merged.values()];
}

function mergeCluster(one: ClusterView, other: ClusterView): ClusterView {
  const endpoints = one.endpoints.map((endpoint) => {
    const same = other.endpoints.find(({ address }) => address === endpoint.address);
    if (same === undefined) return endpoint;
    return {
      ...endpoint,
      connections: endpoint.connections + same.connections,
      active: endpoint.active + same.active,
      lastError: endpoint.lastError || same.lastError,
      // Each worker judges by its own calls; what one of them knows of it is worth knowing.
      health: endpoint.health === 'healthy' ? same.health : endpoint.health,
    };
  });
  const merged = { ...one, endpoints };
  const { ejections = [] } = other;
  if (ejections.length === 0) return merged;
  const events = [...(one.ejections ?? []), ...ejections];
  return { ...merged, ejections: events.toSorted((a, b) => a.at.localeCompare(b.at)) };
}

function sumConnections(reports: readonly WorkerReport[]): ConnectionCounts {
  const sum = (side: keyof ConnectionCounts): number =>
    reports.reduce((total, { connections }) => total + connections[side], 0);
  return { inbound: sum('inbound'), outbound: sum('outbound') };
}

function never(): never {
  throw new Error('workers are started with a snapshot in force');
}
