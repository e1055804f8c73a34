// A control plane for the soak that never rests: policies come, change and go, endpoints change.
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createSecureServer, type ServerHttp2Stream } from 'node:http2';
import { createInterface } from 'node:readline';

import type {
  ControlMessage,
  PolicyResource,
  SidecarMessage,
  Snapshot,
  SnapshotDelta,
} from '#api/snapshot.ts';

import type { SnapshotSource } from '../proxies/selvage.ts';
import type { World } from '../world.ts';

export interface SoakControl extends SnapshotSource {
  edits(): number;
  /** Why sidecars did not take a snapshot. */
  refusals(): readonly string[];
  close(): void;
}

const editEveryMs = 1000;
/** Policies that come and go besides the ten. */
const extraPoliciesMax = 50;
/** Now and then a sidecar gets the whole snapshot anew. */
const wholeEvery = 20;

export async function startControl(world: World): Promise<SoakControl> {
  const { files } = world;
  const server = createSecureServer({
    cert: readFileSync(files.controlCert),
    key: readFileSync(files.controlKey),
    ca: readFileSync(files.ca),
    requestCert: true,
  });
  let edits = 0;
  const refusals: string[] = [];
  const snapshots = new Map<string, Snapshot>();
  const timers = new Set<NodeJS.Timeout>();
  server.on('stream', (stream: ServerHttp2Stream) => {
    stream.on('error', () => undefined);
    stream.respond({ ':status': 200, 'content-type': 'application/x-ndjson' });
    const send = (message: ControlMessage): void =>
      void stream.write(`${JSON.stringify(message)}\n`);
    const lines = createInterface(stream);
    // Of the stream, which it passes on: a sidecar that ends resets its connection.
    lines.on('error', () => undefined);
    lines.on('line', (text) => {
      const message = JSON.parse(text) as SidecarMessage;
      if (message.type === 'nack') refusals.push(message.reason);
      if (message.type !== 'hello') return;
      const base = snapshots.get(message.workload);
      if (base === undefined) throw new Error(`${message.workload} has no snapshot`);
      const timer = serve(base, send, () => (edits += 1));
      timers.add(timer);
      stream.once('close', () => clearInterval(timer));
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  return {
    env: { SELVAGE_SNAPSHOT_FILE: '', SELVAGE_CONTROL: `https://127.0.0.1:${port}` },
    take: (snapshot) => snapshots.set(snapshot.workload.name, snapshot),
    edits: () => edits,
    refusals: () => refusals,
    close: () => {
      for (const timer of timers) clearInterval(timer);
      server.close();
    },
  };
}

function serve(
  base: Snapshot,
  send: (message: ControlMessage) => void,
  edited: () => void,
): NodeJS.Timeout {
  send({ type: 'snapshot', snapshot: base });
  let { version } = base;
  return setInterval(() => {
    const next = version + 1;
    const snapshot = edit(base, next);
    if (next % wholeEvery === 0) send({ type: 'snapshot', snapshot });
    else send({ type: 'delta', delta: deltaOf(snapshot, next) });
    version = next;
    edited();
  }, editEveryMs);
}

/** The server's policies grow to a number and start anew; the client's endpoints change their labels. */
function edit(base: Snapshot, version: number): Snapshot {
  return {
    ...base,
    version,
    policies: base.workload.name === 'client' ? [] : [...base.policies, ...extras(version)],
    services: base.services.map((service) => ({
      ...service,
      ports: service.ports.map((port) => ({
        ...port,
        endpoints: port.endpoints.map((one) => ({ ...one, labels: { version: `v${version}` } })),
      })),
    })),
  };
}

function extras(version: number): PolicyResource[] {
  return Array.from({ length: version % extraPoliciesMax }, (_, i) => ({
    apiVersion: 'security.istio.io/v1',
    kind: 'AuthorizationPolicy' as const,
    metadata: { name: `extra-${i}`, namespace: 'bench', labels: {}, annotations: {} },
    spec: {
      action: 'ALLOW' as const,
      rules: [{ to: [{ operation: { paths: [`/extra-${i}/${version}/*`] } }] }],
    },
  }));
}

/** From the version before. */
function deltaOf(snapshot: Snapshot, version: number): SnapshotDelta {
  const { policies, services } = snapshot;
  const before = extras(version - 1).map(keyOf);
  const now = new Set(policies.map(keyOf));
  return {
    from: version - 1,
    to: version,
    policies: { set: policies, remove: before.filter((key) => !now.has(key)) },
    services: { set: services, remove: [] },
  };
}

function keyOf({ kind, metadata }: PolicyResource): string {
  return `${kind}/${metadata.namespace}/${metadata.name}`;
}
