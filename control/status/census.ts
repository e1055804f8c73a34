// Asks every replica of control which sidecars it has, so that each can speak for the whole mesh.
import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';

import type { AnyResource } from '#api/load.ts';
import { parseSpiffeId } from '#api/spiffe.ts';
import { requestJson } from '#runtime/h2-json.ts';
import type { Log } from '#runtime/log.ts';
import { uriNames } from '#runtime/tls/peer-names.ts';
import type { Svid } from '#runtime/tls/svid.ts';

import type { Sessions } from '../push/sessions.ts';
import type { Snapshots } from '../snapshots.ts';
import { readySidecars, replicasOf } from './cluster-view.ts';
import { decodeReport, encodeReport } from './report-message.ts';
import { generationsOf, reportOf, type ReplicaReport } from './report.ts';
import type { LostSidecar, MeshReport } from './tally.ts';

export interface CensusOptions {
  readonly sessions: Sessions;
  readonly snapshots: Snapshots;
  /** All that is in force. */
  readonly resources: () => readonly AnyResource[];
  /** Control's own certificate: other replicas answer to it alone; null: not there yet. */
  readonly svid: () => Svid | null;
  readonly log: Log;
  /** Name of this replica; that of its machine, in a cluster its pod's, where it is left out. */
  readonly replica?: string;
  /** `address:port` of all replicas, in place of what the resources say; for tests. */
  readonly replicas?: () => readonly string[];
  readonly timeoutMs?: number;
}

/** 10,000 sidecars with their policies. */
const reportBytesMax = 32 * 1024 * 1024;

export class Census {
  readonly replica: string;
  readonly id = randomUUID();
  readonly #options: CensusOptions;
  readonly #silent = new Set<string>();
  #taking: Promise<MeshReport> | null = null;

  constructor(options: CensusOptions) {
    this.#options = options;
    this.replica = options.replica ?? hostname();
  }

  /** What this replica tells others, as JSON. */
  ownReport(): string {
    return JSON.stringify(encodeReport(this.#own()));
  }

  /** The whole mesh, now. Never rejects: who does not answer is named. Calls that come together share one answer. */
  take(): Promise<MeshReport> {
    this.#taking ??= this.#take().finally(() => {
      this.#taking = null;
    });
    return this.#taking;
  }

  async #take(): Promise<MeshReport> {
    const addresses = this.#replicas();
    const answers = await Promise.all(addresses.map((address) => this.#ask(address)));
    // Our own is as of after the others', and the answer of our own address is the same once more.
    const others = answers.filter((report) => report !== null && report.id !== this.id);
    const reports = [this.#own(), ...others.filter((report) => report !== null)];
    const unreachable = addresses.filter((_, i) => answers[i] === null);
    return { reports, lost: this.#lost(reports), unreachable };
  }

  #own(): ReplicaReport {
    return reportOf(this.#options.sessions, this.#options.snapshots, this);
  }

  #replicas(): readonly string[] {
    const { replicas, resources, svid } = this.#options;
    if (replicas !== undefined) return replicas();
    const namespace = parseSpiffeId(svid()?.identity ?? '')?.namespace;
    return namespace === undefined ? [] : replicasOf(resources(), namespace);
  }

  /** Null: no answer, or none that can be read. */
  async #ask(address: string): Promise<ReplicaReport | null> {
    const { svid, log, timeoutMs = 3000 } = this.#options;
    const own = svid();
    if (own === null) return null;
    try {
      const { status, body } = await requestJson({
        url: `https://${address}/v1/sidecars`,
        method: 'GET',
        ca: own.trustBundlePem,
        key: own.keyPem,
        cert: own.chainPem,
        timeoutMs,
        replyBytesMax: reportBytesMax,
        checkIdentity: ({ subjectaltname }) =>
          uriNames(subjectaltname).join() === own.identity
            ? undefined
            : new Error(`the peer at ${address} is not ${own.identity}`),
      });
      if (status !== 200) throw new Error(`${address} answered ${status}`);
      const report = decodeReport(body);
      this.#silent.delete(address);
      return report;
    } catch (error) {
      if (!this.#silent.has(address)) log.warn({ address, error }, 'a replica does not report');
      this.#silent.add(address);
      return null;
    }
  }

  /** Pods that should be connected to one of us and are not. */
  #lost(reports: readonly ReplicaReport[]): LostSidecar[] {
    const { resources, snapshots } = this.#options;
    const connected = new Set(
      reports.flatMap(({ sidecars }) => sidecars.map((one) => `${one.namespace}/${one.pod}`)),
    );
    return readySidecars(resources())
      .filter(({ namespace, pod }) => !connected.has(`${namespace}/${pod}`))
      .map((asking) => {
        const { namespace, pod } = asking;
        return { namespace, pod, wanted: generationsOf(snapshots.for(asking)) };
      });
  }
}
