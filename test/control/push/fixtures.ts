// Snapshots, certificates and a push server for tests of the two ends of the control stream.
import type { Snapshot } from '#api/snapshot.ts';
import { startPushServer, type PushLimits, type PushServer } from '#control/push/server.ts';
import { Sessions } from '#control/push/sessions.ts';
import { silentLog } from '#runtime/log.ts';
import { ControlClient, type ControlClientOptions } from '#sidecar/config/control-client.ts';

import { issue, makeTestCa, type Issued, type TestCa } from '../../tls/fixtures.ts';

export const controlIdentity = 'spiffe://cluster.local/ns/selvage-system/sa/selvage-control';

export interface Workplace {
  readonly ca: TestCa;
  readonly control: Issued;
  /** Newest snapshot by `namespace/workload`. */
  readonly snapshots: Map<string, Snapshot>;
  readonly sessions: Sessions;
  readonly server: PushServer;
  readonly events: string[];
  client(over?: Partial<ControlClientOptions> & { issued?: Issued }): Promise<ControlClient>;
  close(): Promise<void>;
}

export const quickLimits: PushLimits = {
  connectionsMax: 2000,
  perIdentityMax: 1000,
  handshakeTimeoutMs: 2000,
  pingEveryMs: 15_000,
  helloTimeoutMs: 1000,
  unknownWaitMs: 300,
  idleTimeoutMs: 5000,
};

export async function openWorkplace(
  over: {
    readonly limits?: Partial<PushLimits>;
    readonly answerTimeoutMs?: number;
    readonly ageMaxMs?: number;
    readonly port?: number;
    readonly ca?: TestCa;
  } = {},
): Promise<Workplace> {
  const ca = over.ca ?? (await makeTestCa());
  const control = await issue(ca, { uri: controlIdentity });
  const limits = { ...quickLimits, ...over.limits };
  const snapshots = new Map<string, Snapshot>();
  const sessions = new Sessions(
    (hello) => snapshots.get(`${hello.namespace}/${hello.workload}`) ?? null,
    {
      pingEveryMs: limits.pingEveryMs,
      answerTimeoutMs: over.answerTimeoutMs ?? 60_000,
      ageMaxMs: over.ageMaxMs ?? 3_600_000,
    },
  );
  const events: string[] = [];
  const server = await startPushServer({
    host: '127.0.0.1',
    port: over.port ?? 0,
    credentials: { key: control.keyPem, cert: control.certPem, ca: ca.certPem },
    trustDomain: 'cluster.local',
    sessions,
    limits,
    log: silentLog,
    events: {
      pushed: (kind) => events.push(`push ${kind}`),
      acked: (hello, version, lagMs) =>
        events.push(`ack ${hello.pod} ${version}${lagMs === null ? '' : ' lag'}`),
      nacked: (hello, version, reason) => events.push(`nack ${hello.pod} ${version} ${reason}`),
      connected: (hello) => events.push(`connected ${hello.pod}`),
      disconnected: (hello) => events.push(`disconnected ${hello.pod}`),
      refused: (code) => events.push(`refused ${code}`),
    },
  });
  const clients: ControlClient[] = [];
  return {
    ca,
    control,
    snapshots,
    sessions,
    server,
    events,
    client: async ({ issued, ...options } = {}) => {
      const own = issued ?? (await issue(ca, { uri: 'spiffe://cluster.local/ns/a/sa/web' }));
      const client = new ControlClient({
        url: new URL(`https://127.0.0.1:${server.port}`),
        namespace: 'a',
        workload: 'web',
        pod: 'web-0',
        version: 'test',
        controlIdentity,
        credentials: () => ({ key: own.keyPem, cert: own.certPem, ca: own.caPem }),
        apply: () => undefined,
        log: silentLog,
        ...options,
        limits: { firstRetryMs: 20, retryMaxMs: 100, ...options.limits },
      });
      clients.push(client);
      return client;
    },
    close: async () => {
      for (const client of clients) client.stop();
      await server.close();
    },
  };
}

/** A snapshot of a/web with one ALLOW policy for each path. */
export function webSnapshot(version: number, paths: readonly string[], padding = 0): Snapshot {
  return {
    version,
    mesh: {
      trustDomain: 'cluster.local',
      trustDomainAliases: [],
      rootNamespace: 'istio-system',
      pathNormalization: { normalization: 'DEFAULT' },
      extensionProviders: [],
      accessLogFile: '',
      accessLogEncoding: 'TEXT',
    },
    workload: { namespace: 'a', name: 'web', labels: {}, serviceAccount: 'web', ports: [] },
    policies: paths.map((path) => ({
      apiVersion: 'security.istio.io/v1',
      kind: 'AuthorizationPolicy',
      metadata: {
        name: `allow-${path}`,
        namespace: 'a',
        labels: {},
        annotations: { padding: 'x'.repeat(padding) },
      },
      spec: { action: 'ALLOW', rules: [{ to: [{ operation: { paths: [`/${path}`] } }] }] },
    })),
    services: [],
  };
}

/** Waits until `condition` holds; throws with `what` when it does not within 5 s. */
export async function until(condition: () => boolean, what: string): Promise<void> {
  const endMs = Date.now() + 5000;
  while (!condition()) {
    if (Date.now() > endMs) throw new Error(`did not happen: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
