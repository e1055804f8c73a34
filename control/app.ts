// Control put together: sources, keys, snapshots, the push server, the admin endpoint.
import { setTimeout as sleep } from 'node:timers/promises';

import type { AnyResource } from '#api/load.ts';
import type { Problem } from '#api/problem.ts';
import { parseSpiffeId } from '#api/spiffe.ts';
import { startAdmin } from '#runtime/admin.ts';
import { startHealth } from '#runtime/health.ts';
import type { Log } from '#runtime/log.ts';
import { createIdentity } from '#runtime/tls/ca-identity.ts';
import type { Svid } from '#runtime/tls/svid.ts';

import { adminRoutes } from './admin-routes.ts';
import { ChangeLog } from './changes.ts';
import { AddressGuard } from './jwks/addresses.ts';
import { fetchLimits, KeyFetcher, placeOfSource, type PlaceOf } from './jwks/fetch.ts';
import { KeySets } from './jwks/key-sets.ts';
import { createMetrics, type ControlMetrics } from './metrics.ts';
import { Publisher } from './publisher.ts';
import { startPushServer, type Credentials, type PushLimits } from './push/server.ts';
import type { Session } from './push/session.ts';
import { Sessions } from './push/sessions.ts';
import type { StreamEvents } from './push/stream.ts';
import type { ControlSettings } from './settings.ts';
import { Snapshots } from './snapshots.ts';
import { createSources } from './sources/from-settings.ts';
import type { ResourceSource } from './sources/source.ts';
import { Census } from './status/census.ts';
import { startStatus } from './status/start.ts';

export interface Control {
  readonly port: number;
  readonly adminPort: number;
  /** Null: health is told on the admin port only. */
  readonly healthPort: number | null;
  close(): Promise<void>;
}

/** What the process needs of its certificate; SvidSource gives it. */
export interface Identity {
  start(): Promise<void>;
  current(): Svid;
  onChange(listener: (svid: Svid) => void): void;
  stop(): void;
}

const pushLimits: Omit<PushLimits, 'connectionsMax' | 'perIdentityMax'> = {
  handshakeTimeoutMs: 5000,
  pingEveryMs: 15_000,
  helloTimeoutMs: 10_000,
  unknownWaitMs: 30_000,
  idleTimeoutMs: 60_000,
};
const sessionLimits = {
  pingEveryMs: pushLimits.pingEveryMs,
  answerTimeoutMs: 60_000,
  ageMaxMs: 30 * 60_000,
};

/**
 * Starts everything; resolves when sidecars are served, rejects with the first thing that is wrong.
 * @param identity in place of the CA's, for tests
 */
export async function startControl(
  settings: ControlSettings,
  log: Log,
  identity: Identity = createIdentity({ ...settings, log }),
): Promise<Control> {
  let svid: Svid | null = null;
  let ready = false;
  const { source, client } = await createSources(
    settings,
    (noticedAtMs) => void parts.publisher.update(noticedAtMs),
    log,
  );
  const parts: Parts = assemble(source, log, settings, () => svid);
  const { publisher, sessions, metrics } = parts;
  const health = await startHealth(settings.health, {
    ready: () => ready,
    readyWhen: 'serving snapshots',
    metrics: () => metrics.render(),
  });
  const admin = await startAdmin({
    ...settings.admin,
    routes: adminRoutes({
      ...parts,
      problems: () => [...publisher.problems(), ...refusalsOf(sessions)],
      ready: () => ready,
    }),
  });
  await Promise.all([identity.start(), source.start()]);
  svid = identity.current();
  await publisher.update(Date.now());
  const server = await startPushServer({
    ...settings.listen,
    credentials: credentialsOf(identity.current()),
    trustDomain: trustDomainOf(identity.current()),
    sessions,
    report: () => parts.census.ownReport(),
    events: streamEvents(metrics, log),
    limits: {
      ...pushLimits,
      connectionsMax: settings.connectionsMax,
      // One account, however many pods it has or whoever stole its key, leaves places to others.
      perIdentityMax: Math.ceil(settings.connectionsMax / 2),
    },
    log,
  });
  identity.onChange((next) => {
    svid = next;
    server.setCredentials(credentialsOf(next));
  });
  const namespace = parseSpiffeId(svid.identity)?.namespace ?? '';
  const status = client && startStatus({ ...parts, client, namespace, source, log });
  ready = true;
  return {
    port: server.port,
    adminPort: admin.port,
    healthPort: health?.port ?? null,
    close: async () => {
      ready = false;
      await status?.stop();
      if (client !== null) await untilForgotten(settings);
      source.stop();
      await source.flush();
      parts.keys.stop();
      identity.stop();
      await server.close();
      await Promise.all([parts.fetcher.close(), client?.close()]);
      await Promise.all([admin.close(), health?.close()]);
    },
  };
}

/**
 * The Service leads here until all nodes have heard that this pod ends: a sidecar that is sent away
 * before comes back to an address that is gone, and its endpoints grow old meanwhile.
 */
async function untilForgotten(settings: ControlSettings): Promise<void> {
  await sleep(settings.drainTimeoutMs / 2);
}

interface Parts {
  readonly fetcher: KeyFetcher;
  readonly keys: KeySets;
  readonly snapshots: Snapshots;
  readonly changes: ChangeLog;
  readonly sessions: Sessions;
  readonly census: Census;
  readonly publisher: Publisher;
  readonly metrics: ControlMetrics;
}

/** Everything that neither listens nor calls anybody yet. */
function assemble(
  source: ResourceSource,
  log: Log,
  settings: Pick<ControlSettings, 'jwksDenied'>,
  svid: () => Svid | null,
): Parts {
  const placeOf: PlaceOf = (host, port) => publisher.placeOf(host, port);
  const fetcher = new KeyFetcher(new AddressGuard(settings.jwksDenied), fetchLimits, placeOf);
  const keys = new KeySets({
    fetchKeys: (from, timeoutMs) => fetcher.fetchKeys(from, timeoutMs),
    placeOf: (from) => placeOfSource(from, placeOf),
    onChange: () => void publisher.update(Date.now()),
    log,
  });
  const snapshots = new Snapshots();
  const changes = new ChangeLog();
  const sessions = new Sessions((hello) => snapshots.for(hello), sessionLimits);
  const resources = (): readonly AnyResource[] => source.resources();
  const census = new Census({ sessions, snapshots, resources, svid, log });
  const publisher: Publisher = new Publisher({
    source,
    keys,
    snapshots,
    changes,
    trustDomain: () => {
      const present = svid();
      return present === null ? null : trustDomainOf(present);
    },
    publish: (changedAtMs) => {
      sessions.publish(changedAtMs);
      snapshots.prune((workload) => sessions.has(workload));
    },
    onPublished: (seconds, news) =>
      metrics.published(
        seconds,
        news.map(({ what }) => what),
      ),
    log,
  });
  const metrics: ControlMetrics = createMetrics({
    sidecars: () => sessions.count,
    sidecarsBehind: () => sessions.list().filter(isBehind).length,
    revision: () => snapshots.revision,
    problems: (severity) => publisher.problems().filter((p) => p.severity === severity).length,
    certificateNotAfterMs: () => svid()?.notAfterMs ?? 0,
  });
  return { fetcher, keys, snapshots, changes, sessions, census, publisher, metrics };
}

/** What sidecars would not put in force, as problems: the one place where an operator looks. */
function refusalsOf(sessions: Sessions): Problem[] {
  return sessions.states().flatMap(({ namespace, workload, pod, refused }) => {
    if (refused === null) return [];
    const message = `${pod} of ${namespace}/${workload} refuses snapshot ${refused.version} and keeps the one before: ${refused.reason}`;
    return [{ severity: 'error', code: 'snapshot-refused', message } as const];
  });
}

function trustDomainOf(svid: Svid): string {
  return parseSpiffeId(svid.identity)?.trustDomain ?? '';
}

function credentialsOf(svid: Svid): Credentials {
  return { key: svid.keyPem, cert: svid.chainPem, ca: svid.trustBundlePem };
}

function isBehind(session: Session): boolean {
  const { acked, wanted } = session.snapshots();
  return wanted === null || wanted !== acked;
}

function streamEvents(metrics: ControlMetrics, log: Log): StreamEvents {
  return {
    pushed: (kind, bytes) => metrics.pushed(kind, bytes),
    acked: ({ pod }, version, lagMs) => {
      metrics.acked(lagMs);
      log.debug({ pod, version, lagMs }, 'snapshot accepted');
    },
    nacked: ({ namespace, workload, pod }, version, reason) => {
      metrics.nacked();
      log.error({ namespace, workload, pod, version, reason }, 'snapshot refused by a sidecar');
    },
    connected: ({ namespace, workload, pod, have }) =>
      log.info({ namespace, workload, pod, have }, 'sidecar connected'),
    disconnected: ({ namespace, workload, pod }) =>
      log.info({ namespace, workload, pod }, 'sidecar disconnected'),
    refused: (code) => metrics.refused(code),
  };
}
