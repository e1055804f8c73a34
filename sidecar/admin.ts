// The sidecar's admin endpoint: health, metrics, what is in force.
import { jsonReply, startAdmin, type AdminRoute } from '#runtime/admin.ts';

import type { Configuration } from './configuration.ts';
import type { Identity } from './identity/identity.ts';
import type { InForce } from './in-force.ts';
import type { SidecarSettings } from './settings.ts';
import type { RunningTelemetry } from './telemetry/telemetry.ts';

export interface AdminParts {
  readonly settings: SidecarSettings;
  readonly inForce: InForce;
  readonly identity: Identity;
  readonly configuration: Configuration;
  readonly telemetry: RunningTelemetry;
  readonly connections: () => { inbound: number; outbound: number };
}

export interface SidecarAdmin {
  readonly port: number;
  /** From now on it is not ready: nothing new should be sent here. */
  setDraining(): void;
  close(): Promise<void>;
}

/** Starts the endpoint; a sidecar that has one is ready. Rejects when it cannot listen. */
export async function startSidecarAdmin(parts: AdminParts): Promise<SidecarAdmin> {
  let draining = false;
  const { host, port } = parts.settings.admin;
  const admin = await startAdmin({ host, port, routes: routesOf(parts, () => draining) });
  return {
    port: admin.port,
    setDraining() {
      draining = true;
    },
    close: () => admin.close(),
  };
}

function routesOf(parts: AdminParts, draining: () => boolean): AdminRoute[] {
  return [
    {
      method: 'GET',
      path: '/ready',
      doc: '200 while calls are taken, 503 while the sidecar ends',
      handler: () => (draining() ? { status: 503, body: 'draining\n' } : { body: 'ready\n' }),
    },
    {
      method: 'GET',
      path: '/stats/prometheus',
      doc: 'metrics',
      handler: () => parts.telemetry.scrape(),
    },
    {
      method: 'GET',
      path: '/snapshot',
      doc: 'the snapshot in force, as control sent it',
      handler: () => jsonReply(parts.inForce.current()?.snapshot ?? null),
    },
    {
      method: 'GET',
      path: '/status',
      doc: 'certificate, control, connections',
      handler: () => jsonReply(statusOf(parts)),
    },
  ];
}

function statusOf(parts: AdminParts): unknown {
  const { identity, notAfterMs } = parts.identity.current();
  return {
    identity,
    certificateNotAfter: new Date(notAfterMs).toISOString(),
    snapshotVersion: parts.inForce.current()?.snapshot.version ?? 0,
    control: parts.configuration.state(),
    connections: parts.connections(),
  };
}
