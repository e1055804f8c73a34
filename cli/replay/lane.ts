// One workload under replay: its sidecar, whose snapshot is another one for each case. Cases take turns.
import { writeFile } from 'node:fs/promises';

import { judge } from '#policy/judge.ts';
import type { RecordedCall } from '#policy/judge/call.ts';
import { formatAddress } from '#runtime/plain-address.ts';

import type { Certificates } from './certificates.ts';
import type { Observed } from './compare.ts';
import { authorizer } from './evaluator.ts';
import type { Expected, ReplayCase } from './format.ts';
import { observe } from './observe.ts';
import { compileCase, inputOf } from './policies.ts';
import { servicesOf } from './services.ts';
import { SidecarProcess } from './sidecar-process.ts';
import { SnapshotFeed } from './snapshot-feed.ts';
import { send, type Sent } from './wire-client.ts';

/** What all sidecars of a replay share. */
export interface Surroundings {
  readonly certificates: Certificates;
  readonly applicationPort: number;
  readonly authorizerPort: number;
  /** `10.77.0.10:8080`, each once. */
  readonly destinations: readonly string[];
  /** Told of what a sidecar says of a fault, a line each. */
  readonly complain: (text: string) => void;
  /** Told of each call that had to be sent from another address. */
  readonly substituted: (wanted: string, used: string) => void;
}

/** Of the sidecars' own certificates, whatever a case says that policies must take for it. */
const trustDomain = 'cluster.local';
/** More would only make each of them late: handshakes are work for both ends. */
const callsAtOnce = 32;
/** The log is written in batches. */
const lineTimeoutMs = 5000;

export class Lane {
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
    const observed = c.requests.map((call, index) => this.#observe(c, call, sent[index]));
    return Promise.race([Promise.all(observed), (await this.#started).failed]);
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
    const sent = inParallel(c.requests, callsAtOnce, (call) =>
      send(call, { ...common, port: this.#portOf(call) }),
    );
    return Promise.race([sent, sidecar.failed]);
  }

  async #apply(c: ReplayCase): Promise<void> {
    const services = servicesOf(c, this.#surroundings.authorizerPort);
    await this.#feed.apply({ ...inputOf(c), services });
  }

  async #observe(c: ReplayCase, call: RecordedCall, sent: Sent | undefined): Promise<Observed> {
    if (sent === undefined) throw new Error(`request ${call.id} was not sent`);
    const { lines } = await this.#started;
    const line = sent.ends === null ? null : await lines.of(sent.ends, lineTimeoutMs);
    const observed = observe(sent.reply, line);
    return sent.address === call.source.ip
      ? observed
      : { ...observed, instead: await this.#judgeFrom(sent.address, c, call) };
  }

  /** What the evaluator says, which has no such bounds, of the address that had to be used. */
  async #judgeFrom(ip: string, c: ReplayCase, call: RecordedCall): Promise<Expected> {
    this.#surroundings.substituted(call.source.ip, ip);
    const there = { ...call, source: { ...call.source, ip } };
    const outcome = await judge(compileCase(c), there, { authorizer });
    const asBytes = call.kind !== 'tcp' && outcome.protocol === 'tcp';
    return { ...outcome, ...(asBytes && { as: 'tcp' }) };
  }

  #portOf(call: RecordedCall): number {
    return this.#ports.get(destinationOf(call)) ?? 0;
  }
}

/** The results in the order of the items. */
async function inParallel<Item, Result>(
  items: readonly Item[],
  atOnce: number,
  work: (item: Item) => Promise<Result>,
): Promise<Result[]> {
  const results: Result[] = [];
  let next = 0;
  const worker = async (): Promise<void> => {
    for (let at = next++; at < items.length; at = next++) {
      const item = items[at];
      if (item !== undefined) results[at] = await work(item);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
  return results;
}

/** `cluster.local/ns/foo/sa/srv`. */
function identityOf({ workload }: ReplayCase): string {
  return `${trustDomain}/ns/${workload.namespace}/sa/${workload.serviceAccount}`;
}

/** The original destination as a mapping of the sidecar names it. */
export function destinationOf({ destination: { ip, port } }: RecordedCall): string {
  return formatAddress(ip, port);
}
