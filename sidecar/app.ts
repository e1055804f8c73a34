// The sidecar put together: identity, then configuration, then listeners, then ready.
import type { Log, ProcessLog } from '#runtime/log.ts';
import type { Closer } from '#runtime/shutdown.ts';

import { startSidecarAdmin } from './admin/admin.ts';
import { createConfiguration, type Configuration } from './configuration.ts';
import { Connections } from './connections.ts';
import type { Exchange } from './exchange.ts';
import { createCaIdentity } from './identity/from-ca.ts';
import { FileIdentity } from './identity/from-files.ts';
import type { Identity } from './identity/identity.ts';
import { InForce } from './in-force.ts';
import { startInbound, type Inbound } from './inbound/inbound.ts';
import { startOutbound, type Outbound } from './outbound/outbound.ts';
import type { SidecarSettings } from './settings.ts';
import { bindTelemetry } from './telemetry-binding.ts';
import type { RunningTelemetry } from './telemetry/telemetry.ts';
import { Upstreams } from './upstream/upstreams.ts';

export interface Sidecar {
  /** In the order of SELVAGE_INBOUND. */
  readonly inboundPorts: readonly number[];
  /** 0: no HTTP proxy. */
  readonly outboundPort: number;
  /** In the order of SELVAGE_OUTBOUND_PORTS. */
  readonly mappedPorts: readonly number[];
  readonly adminPort: number;
  /** In the order in which they are to be closed. */
  readonly closers: readonly Closer[];
}

/** Starts everything; rejects with the first thing that is wrong. */
export async function startSidecar(settings: SidecarSettings, log: ProcessLog): Promise<Sidecar> {
  const inForce = new InForce();
  const identity = createIdentity(settings, log);
  await identity.start();
  const upstreams = new Upstreams(identity.current());
  identity.onChange((svid) => upstreams.renew(svid));
  // Callers' connections and the application's own are drained one after the other.
  const inboundConnections = newConnections(log);
  const outboundConnections = newConnections(log);
  inForce.onChange((enforced) => {
    upstreams.update(enforced.routes);
    inboundConnections.judgeAll(enforced);
  });
  const configuration = createConfiguration({
    settings,
    inForce,
    svid: () => identity.current(),
    log,
  });
  await configuration.start();
  const telemetry = bindTelemetry({
    settings,
    inForce,
    identity: () => identity.current().identity,
    log,
  });
  const shared = { inForce, telemetry, upstreams, onFault: faultLogger(log) };
  const inbound = await startInbound({
    ...shared,
    mappings: settings.inbound,
    connections: inboundConnections,
    identity,
    log,
  });
  const outbound = await startOutbound({
    ...shared,
    listen: settings.outbound,
    mappings: settings.outboundPorts,
    captured: null,
    connections: outboundConnections,
  });
  const admin = await startSidecarAdmin({
    settings,
    inForce,
    identity,
    configuration,
    telemetry,
    upstreams,
    inboundPorts: inbound.ports,
    outboundPort: outbound.port,
    mappedPorts: outbound.mappedPorts,
    drain: () => void inboundConnections.drain(settings.drainTimeoutMs),
    log,
    connections: () => ({ inbound: inboundConnections.size, outbound: outboundConnections.size }),
  });
  upstreams.ownPorts.add(admin.port);
  const parts = { settings, inbound, outbound, telemetry, upstreams, configuration, identity };
  return {
    inboundPorts: inbound.ports,
    outboundPort: outbound.port,
    mappedPorts: outbound.mappedPorts,
    adminPort: admin.port,
    closers: [
      { name: 'readiness', close: () => admin.setDraining() },
      ...closersOf({ ...parts, inboundConnections, outboundConnections }),
      { name: 'admin endpoint', close: () => admin.close() },
    ],
  };
}

interface Parts {
  readonly settings: SidecarSettings;
  readonly inbound: Inbound;
  readonly outbound: Outbound;
  readonly inboundConnections: Connections;
  readonly outboundConnections: Connections;
  readonly telemetry: RunningTelemetry;
  readonly upstreams: Upstreams;
  readonly configuration: Configuration;
  readonly identity: Identity;
}

/** The application may call others while it finishes what it was asked: inbound goes first. */
function closersOf(parts: Parts): Closer[] {
  const { drainTimeoutMs } = parts.settings;
  return [
    {
      name: 'inbound connections',
      close: () => {
        parts.inbound.close();
        return parts.inboundConnections.drain(drainTimeoutMs);
      },
    },
    {
      name: 'outbound connections',
      close: () => {
        parts.outbound.close();
        return parts.outboundConnections.drain(outboundDrainMs);
      },
    },
    { name: 'upstream connections', close: () => parts.upstreams.close() },
    { name: 'configuration', close: () => parts.configuration.stop() },
    { name: 'identity', close: () => parts.identity.stop() },
    { name: 'telemetry', close: () => parts.telemetry.close(telemetryCloseMs) },
  ];
}

/** After the application's last request there is little left that it can wait for. */
const outboundDrainMs = 500;
const telemetryCloseMs = 1000;

/** What closing everything may take beyond the drain. */
export const closeGraceMs = outboundDrainMs + telemetryCloseMs + 1000;

function createIdentity(settings: SidecarSettings, log: Log): Identity {
  const { certFile, keyFile, trustBundleFile, ca, tokenFile } = settings;
  if (certFile !== '' || ca === null) {
    return new FileIdentity({ certFile, keyFile, trustBundleFile, log });
  }
  const { namespace, serviceAccount } = settings;
  return createCaIdentity({
    url: ca,
    tokenFile,
    trustBundleFile,
    namespace,
    serviceAccount,
    log,
  });
}

function newConnections(log: Log): Connections {
  return new Connections((connection, reason) => {
    const { remoteAddress, remotePort } = connection;
    log.info({ remoteAddress, remotePort, reason }, 'live connection ended by policy');
  });
}

function faultLogger(log: Log): (error: unknown, x: Exchange) => void {
  return (error, x) => {
    const { method, authority } = x.request;
    log.error({ error, method, authority }, 'a layer failed; the request is refused');
  };
}
