// What carries traffic: telemetry, upstreams and listeners. One for each worker; the process around it has the rest.
import type { Log } from '#runtime/log.ts';
import type { Address } from '#runtime/setting-types.ts';
import type { Closer } from '#runtime/shutdown.ts';

import { Connections } from './connections.ts';
import type { Exchange } from './exchange.ts';
import type { Identity } from './identity/identity.ts';
import type { InForce } from './in-force.ts';
import { startInbound } from './inbound/inbound.ts';
import { answerer, type Ask } from './observe/questions.ts';
import type { OriginalDestinationOf } from './outbound/original-destination.ts';
import { startOutbound } from './outbound/outbound.ts';
import type { SidecarSettings } from './settings.ts';
import { bindTelemetry } from './telemetry-binding.ts';
import type { RunningTelemetry } from './telemetry/telemetry.ts';
import { upstreamGauges } from './upstream/gauges.ts';
import { Upstreams } from './upstream/upstreams.ts';

export interface DataPlaneParts {
  readonly settings: SidecarSettings;
  /** Something is in force. */
  readonly inForce: InForce;
  /** There is a certificate. */
  readonly identity: Identity;
  /** Other workers, or the next version, listen on the same ports. */
  readonly sharedPorts: boolean;
  readonly log: Log;
}

export interface Ports {
  /** In the order of SELVAGE_INBOUND. */
  readonly inboundPorts: readonly number[];
  /** 0: no HTTP proxy. */
  readonly outboundPort: number;
  /** In the order of SELVAGE_OUTBOUND_PORTS. */
  readonly mappedPorts: readonly number[];
  /** Of redirected connections; 0: none. */
  readonly capturedInboundPort: number;
  readonly capturedOutboundPort: number;
}

export interface ConnectionCounts {
  readonly inbound: number;
  readonly outbound: number;
}

export interface DataPlane {
  readonly ports: Ports;
  readonly telemetry: RunningTelemetry;
  readonly upstreams: Upstreams;
  /** For the admin endpoint. */
  readonly ask: Ask;
  connections(): ConnectionCounts;
  /** Inbound connections finish what is under way and close. */
  drain(): void;
  /** In the order in which they are to be closed; telemetry goes last. */
  readonly closers: readonly Closer[];
}

/** After the application's last request there is little left that it can wait for. */
const outboundDrainMs = 500;
const telemetryCloseMs = 1000;

/** What closing everything may take beyond the drain. */
export const closeGraceMs = outboundDrainMs + 2 * telemetryCloseMs + 1000;

/** Rejects when a port cannot be listened on. */
export async function startDataPlane(parts: DataPlaneParts): Promise<DataPlane> {
  const { settings, inForce, identity, sharedPorts, log } = parts;
  const upstreams = new Upstreams(identity.current(), log, settings.podIp);
  identity.onChange((svid) => upstreams.renew(svid));
  // Callers' connections and the application's own are drained one after the other.
  const inboundConnections = newConnections(log);
  const outboundConnections = newConnections(log);
  const present = inForce.current();
  if (present !== null) upstreams.update(present.routes, present.snapshot);
  inForce.onChange(({ routes, snapshot }) => upstreams.update(routes, snapshot));
  inForce.onPolicyChange((enforced) => inboundConnections.judgeAll(enforced));
  const telemetry = bindTelemetry({
    settings,
    inForce,
    upstreams,
    identity: () => identity.current().identity,
    log,
    gauges: upstreamGauges(upstreams),
  });
  const shared = { inForce, telemetry, upstreams, sharedPorts, onFault: faultLogger(log) };
  const originalDestination = await loadCapture(settings);
  const captured = (listen: Address): Captured | null =>
    originalDestination === null ? null : { listen, originalDestination };
  const inbound = await startInbound({
    ...shared,
    mappings: settings.inbound,
    captured: captured(settings.captureInbound),
    connections: inboundConnections,
    identity,
    log,
  });
  const outbound = await startOutbound({
    ...shared,
    listen: settings.outbound,
    mappings: settings.outboundPorts,
    captured: captured(settings.captureOutbound),
    connections: outboundConnections,
    log,
  });
  const { drainTimeoutMs, minDrainMs } = settings;
  return {
    ports: {
      inboundPorts: inbound.ports,
      outboundPort: outbound.port,
      mappedPorts: outbound.mappedPorts,
      capturedInboundPort: inbound.capturedPort,
      capturedOutboundPort: outbound.capturedPort,
    },
    telemetry,
    upstreams,
    ask: answerer(telemetry.observation, () => inForce.current()?.limits ?? null),
    connections: () => ({ inbound: inboundConnections.size, outbound: outboundConnections.size }),
    drain: () => void inboundConnections.drain(drainTimeoutMs),
    closers: [
      welcome(inboundConnections, minDrainMs),
      // The application may call others while it finishes what it was asked: inbound goes first.
      closer('inbound connections', inbound, () =>
        inboundConnections.drain(drainTimeoutMs - minDrainMs),
      ),
      closer('outbound connections', outbound, () => outboundConnections.drain(outboundDrainMs)),
      upstreamsCloser(upstreams, telemetry),
      { name: 'telemetry', close: () => telemetry.close(telemetryCloseMs) },
    ],
  };
}

/** Callers that do not know of the end yet are served, and told with each answer to go elsewhere. */
function welcome(connections: Connections, forMs: number): Closer {
  return {
    name: 'callers that do not know yet',
    close: async () => {
      if (forMs === 0) return;
      connections.beginDrain();
      await new Promise((resolve) => setTimeout(resolve, forMs));
    },
  };
}

/** Spans go out while there are connections to a collector of the mesh. */
function upstreamsCloser(upstreams: Upstreams, telemetry: RunningTelemetry): Closer {
  return {
    name: 'upstream connections',
    close: async () => {
      await telemetry.closeSpans(telemetryCloseMs);
      upstreams.close();
    },
  };
}

interface Captured {
  readonly listen: Address;
  readonly originalDestination: OriginalDestinationOf;
}

/** Null, and nothing is loaded: traffic comes by addresses of its own. */
async function loadCapture({ capture }: SidecarSettings): Promise<OriginalDestinationOf | null> {
  if (capture === 'explicit') return null;
  return (await import('./capture/original-destination.ts')).loadOriginalDestination();
}

function closer(name: string, listeners: { close(): void }, drain: () => Promise<void>): Closer {
  return {
    name,
    close: async () => {
      // Right after the loop has accepted all that waits, so that closing resets nobody who does.
      await new Promise((resolve) => setImmediate(resolve));
      listeners.close();
      await drain();
    },
  };
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
