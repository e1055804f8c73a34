// The sidecar's admin endpoint: health, metrics, what is in force, and the few things that may be changed by hand.
import { jsonReply, startAdmin, type AdminReply, type AdminRoute } from '#runtime/admin.ts';
import { logLevels, type ProcessLog } from '#runtime/log.ts';

import type { Configuration } from '../configuration.ts';
import type { Identity } from '../identity/identity.ts';
import type { InForce } from '../in-force.ts';
import { describeSidecarSettings, type SidecarSettings } from '../settings.ts';
import { version } from '../version.ts';
import { observeRoutes } from './observe-routes.ts';
import { describeCertificates } from './certificates.ts';
import { pageRoute } from './page-route.ts';
import type { Planes } from './planes.ts';
import { listenersOf, snapshotOf } from './views.ts';

export interface AdminParts {
  readonly settings: SidecarSettings;
  readonly inForce: InForce;
  readonly identity: Identity;
  readonly configuration: Configuration;
  readonly planes: Planes;
  readonly log: ProcessLog;
}

export interface SidecarAdmin {
  readonly port: number;
  /** From now on it is not ready: nothing new should be sent here. */
  setDraining(): void;
  /** 200 while calls are taken, 503 from `setDraining` or POST /drain on. */
  ready(): AdminReply;
  close(): Promise<void>;
}

/** Starts the endpoint; a sidecar that has one is ready. Rejects when it cannot listen. */
export async function startSidecarAdmin(parts: AdminParts): Promise<SidecarAdmin> {
  const state: AdminState = { draining: false };
  const { host, port } = parts.settings.admin;
  const { inForce, planes } = parts;
  const routes = [
    ...readRoutes(parts, state),
    ...observeRoutes(planes.observed, inForce),
    ...changeRoutes(parts, state),
  ];
  const admin = await startAdmin({ host, port, routes });
  return {
    port: admin.port,
    setDraining() {
      state.draining = true;
    },
    ready: () => readiness(state),
    close: () => admin.close(),
  };
}

interface AdminState {
  draining: boolean;
}

function readRoutes(parts: AdminParts, state: AdminState): AdminRoute[] {
  const { settings, inForce, identity, planes } = parts;
  const ready = (): AdminReply => readiness(state);
  return [
    get('/ready', '200 while calls are taken, 503 while the sidecar ends', ready),
    get('/healthz/ready', 'the same, where Istio has it', ready),
    pageRoute(() => planes.families()),
    get('/certs', 'own certificate and the roots that are trusted', () =>
      jsonReply(describeCertificates(identity.current(), Date.now())),
    ),
    get('/clusters', 'services that can be called, their endpoints and connections', async () =>
      jsonReply(await planes.clusters()),
    ),
    get('/listeners', 'ports, their protocol and mutual TLS mode', () =>
      jsonReply(listenersOf({ settings, ...planes.ports }, inForce.current())),
    ),
    get('/config_dump', 'the snapshot in force, without keys', () =>
      jsonReply(snapshotOf(inForce.current())),
    ),
    get('/status', 'certificate, control, connections', async () =>
      jsonReply({ ...statusOf(parts), connections: await planes.connections() }),
    ),
    get('/server_info', 'version, state and settings', () =>
      jsonReply({
        version,
        node: process.version,
        state: state.draining ? 'DRAINING' : 'LIVE',
        uptimeSeconds: Math.round(process.uptime()),
        settings: describeSidecarSettings(),
      }),
    ),
  ];
}

function readiness(state: AdminState): AdminReply {
  return state.draining ? { status: 503, body: 'draining\n' } : { body: 'ready\n' };
}

function changeRoutes(parts: AdminParts, state: AdminState): AdminRoute[] {
  return [
    post('/logging', `?level=${logLevels.join('|')}: how much the process logs`, (query) =>
      setLevel(parts, query.get('level') ?? ''),
    ),
    post('/drain', 'takes nothing new, lets what is under way finish, goes on running', () => {
      state.draining = true;
      parts.planes.drain();
      return { body: 'draining\n' };
    }),
    post('/quitquitquit', 'drains and ends the process', () => {
      // The way of every other end: in order, and within the deadline.
      process.kill(process.pid, 'SIGTERM');
      return { body: 'ending\n' };
    }),
  ];
}

function get(path: string, doc: string, handler: AdminRoute['handler']): AdminRoute {
  return { method: 'GET', path, doc, handler };
}

/** What changes the process is asked from this machine only. */
function post(path: string, doc: string, handler: AdminRoute['handler']): AdminRoute {
  return { method: 'POST', path, doc, loopbackOnly: true, handler };
}

function setLevel({ log, planes }: AdminParts, level: string): AdminReply {
  if (!logLevels.some((known) => known === level)) {
    return { status: 400, body: `level is one of ${logLevels.join(', ')}; it is ${log.level}\n` };
  }
  log.level = level;
  planes.setLevel(level);
  return { body: `level is ${level}\n` };
}

function statusOf(parts: AdminParts): object {
  const { identity, notAfterMs } = parts.identity.current();
  return {
    identity,
    certificateNotAfter: new Date(notAfterMs).toISOString(),
    snapshotVersion: parts.inForce.current()?.snapshot.version ?? 0,
    control: parts.configuration.state(),
  };
}
