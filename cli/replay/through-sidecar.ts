// Replays through real sidecars: every recorded call over real sockets with real mutual TLS, one process a workload.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { loadText } from '#api/load.ts';
import { collectMesh } from '#api/mesh.ts';
import type { Service, Snapshot } from '#api/snapshot.ts';
import { Catalog } from '#control/catalog.ts';
import type { RecordedCall } from '#policy/judge/call.ts';

import { startApplication } from './application.ts';
import { startAuthorizer } from './authorizer-server.ts';
import { type Certificates, createCertificates } from './certificates.ts';
import type { Observed, Runner } from './compare.ts';
import type { ReplayCase } from './format.ts';
import { observe } from './observe.ts';
import { inputOf } from './policies.ts';
import { SidecarProcess } from './sidecar-process.ts';
import { SnapshotFeed } from './snapshot-feed.ts';
import { send, type Sent } from './wire-client.ts';

export interface SidecarReplay {
  readonly run: Runner;
  close(): Promise<void>;
}

/** Of the sidecars' own certificates, whatever a case says that policies must take for it. */
const trustDomain = 'cluster.local';
/** The log is written in batches. */
const lineTimeoutMs = 3000;

/** What all sidecars of a replay share. */
interface Surroundings {
  readonly folder: string;
  readonly certificates: Certificates;
  readonly applicationPort: number;
  readonly authorizerPort: number;
  /** `10.77.0.10:8080`, each once. */
  readonly destinations: readonly string[];
  readonly complain: (text: string) => void;
}

/**
 * Starts what the cases need. A sidecar starts with the first case of its workload.
 * @param complain told what sidecars say of faults, a line each
 */
export async function throughSidecar(
  cases: readonly ReplayCase[],
  complain: (text: string) => void,
): Promise<SidecarReplay> {
  const certificates = await createCertificates();
  const [application, authorizer] = await Promise.all([startApplication(), startAuthorizer()]);
  const folder = await mkdtemp(join(tmpdir(), 'selvage-replay-'));
  const calls = cases.flatMap((one) => one.requests);
  const surroundings = {
    folder,
    certificates,
    applicationPort: application.port,
    authorizerPort: authorizer.port,
    destinations: [...new Set(calls.map(destinationOf))],
    complain,
  };
  const lanes = new Map<string, Lane>();
  return {
    run: (c) => {
      const { namespace, name, serviceAccount } = c.workload;
      const key = `${namespace}/${name}/${serviceAccount}`;
      const lane = lanes.get(key) ?? new Lane(surroundings, c, join(folder, `${lanes.size}`));
      lanes.set(key, lane);
      return lane.run(c);
    },
    close: async () => {
      await Promise.all([...lanes.values()].map((lane) => lane.close()));
      application.close();
      authorizer.close();
      await rm(folder, { recursive: true });
    },
  };
}

/** One workload: its sidecar, whose snapshot is another one for each case. Cases take turns. */
class Lane {
  readonly #surroundings: Surroundings;
  readonly #identity: string;
  readonly #feed = new SnapshotFeed();
  readonly #started: Promise<SidecarProcess>;
  #turn: Promise<unknown>;
  #ports: ReadonlyMap<string, number> = new Map();

  /** @param prefix of the files for its sidecar */
  constructor(surroundings: Surroundings, first: ReplayCase, prefix: string) {
    this.#surroundings = surroundings;
    this.#identity = identityOf(first);
    this.#started = this.#start(first, prefix);
    this.#turn = this.#started;
  }

  async run(c: ReplayCase): Promise<readonly Observed[]> {
    const turn = this.#turn.then(() => this.#send(c));
    // The next case does not care how this one ends.
    this.#turn = turn.catch(() => undefined);
    const sent = await turn;
    // The next one is on its way while the log tells of this one.
    return Promise.all(c.requests.map((call, index) => this.#observe(call, sent[index])));
  }

  async close(): Promise<void> {
    const sidecar = await this.#started.catch(() => null);
    await sidecar?.stop();
    await this.#feed.close();
  }

  async #start(first: ReplayCase, prefix: string): Promise<SidecarProcess> {
    const { certificates, destinations, applicationPort, complain } = this.#surroundings;
    const control = certificates.issue(`${trustDomain}/ns/selvage-system/sa/selvage-control`);
    const port = await this.#feed.start(control, trustDomain);
    const own = certificates.issue(this.#identity);
    const files = { certificate: `${prefix}.crt`, key: `${prefix}.key`, roots: `${prefix}.roots` };
    await writeFile(files.certificate, own.cert);
    await writeFile(files.key, own.key, { mode: 0o600 });
    await writeFile(files.roots, own.ca);
    const inbound = destinations.map((one) => `127.0.0.1:0=${one}>127.0.0.1:${applicationPort}`);
    const { namespace, name, serviceAccount } = first.workload;
    const environment = {
      SELVAGE_NAMESPACE: namespace,
      SELVAGE_WORKLOAD: name,
      SELVAGE_POD: name,
      SELVAGE_SERVICE_ACCOUNT: serviceAccount,
      SELVAGE_CONTROL: `https://127.0.0.1:${port}`,
      SELVAGE_CERT_FILE: files.certificate,
      SELVAGE_KEY_FILE: files.key,
      SELVAGE_TRUST_BUNDLE_FILE: files.roots,
      SELVAGE_INBOUND: inbound.join(','),
      SELVAGE_ADMIN: '127.0.0.1:0',
    };
    const sidecar = new SidecarProcess(environment, complain);
    const [ports] = await Promise.all([sidecar.ready(), this.#apply(first)]);
    this.#ports = new Map(destinations.map((one, index) => [one, ports[index] ?? 0]));
    return sidecar;
  }

  async #send(c: ReplayCase): Promise<readonly Sent[]> {
    const sidecar = await this.#started;
    await Promise.race([this.#apply(c), sidecar.failed]);
    const { certificates } = this.#surroundings;
    const serverName = `outbound_.8080_._.srv.${c.workload.namespace}.svc.cluster.local`;
    const common = {
      serverName,
      identity: `spiffe://${this.#identity}`,
      clientContext: (identity: string) => certificates.clientContext(identity),
    };
    return Promise.all(
      c.requests.map((call) => send(call, { ...common, port: this.#portOf(call) })),
    );
  }

  async #apply(c: ReplayCase): Promise<void> {
    const services = servicesOf(c, this.#surroundings.authorizerPort);
    await this.#feed.apply({ ...inputOf(c), services });
  }

  async #observe(call: RecordedCall, sent: Sent | undefined): Promise<Observed> {
    if (sent === undefined) throw new Error(`request ${call.id} was not sent`);
    const { lines } = await this.#started;
    const line = sent.ends === null ? null : await lines.of(sent.ends, lineTimeoutMs);
    return observe(call, sent.reply, line);
  }

  #portOf(call: RecordedCall): number {
    return this.#ports.get(destinationOf(call)) ?? 0;
  }
}

/** `cluster.local/ns/foo/sa/srv`. */
function identityOf({ workload }: ReplayCase): string {
  return `${trustDomain}/ns/${workload.namespace}/sa/${workload.serviceAccount}`;
}

function destinationOf({ destination: { ip, port } }: RecordedCall): string {
  return ip.includes(':') ? `[${ip}]:${port}` : `${ip}:${port}`;
}

/** The services that a case declares, all of them authorizers: they are where ours listens. */
function servicesOf(c: ReplayCase, port: number): Snapshot['services'] {
  const { resources } = loadText((c.extraResources ?? []).join('\n---\n'), `${c.name}.yaml`);
  const services = new Catalog(collectMesh(resources), null).visibleTo(c.workload.namespace);
  return services.map((service) => redirect(service, port));
}

function redirect(service: Service, port: number): Service {
  const address = '127.0.0.1';
  const ports = service.ports.map((one) => ({
    ...one,
    endpoints: one.endpoints.map((endpoint) => ({ ...endpoint, address, port })),
  }));
  return { ...service, ports };
}
