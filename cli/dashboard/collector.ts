// What the page knows of the mesh: sidecars are asked while somebody looks, and only for what is looked at.
import type { CallRecord, EdgeCount } from '#api/call-record.ts';

import { type Sidecar, sidecarsOf } from '../cluster/sidecars.ts';
import type { AskableSidecar, Sidecars } from '../sidecars/source.ts';
import { type Answer, askAll, podOf } from './ask.ts';
import { EdgeBook, type EdgeView } from './edge-book.ts';
import { RecordTap } from './record-tap.ts';
import { type SidecarStatus, statusOf } from './sidecar-answers.ts';
import { type Reading, Watch } from './watch.ts';
import { readWorkload, type WorkloadFacts } from './workload-facts.ts';

export interface KnownSidecar extends Answer<SidecarStatus> {
  /** What control says of it; null: nothing. */
  readonly control: Sidecar | null;
}

export interface EdgesReading extends EdgeView {
  /** `namespace/workload` of all sidecars. */
  readonly workloads: readonly string[];
  /** Sidecars that did not answer, each with why. */
  readonly silent: readonly string[];
}

const edgesEveryMs = 2000;
const statesEveryMs = 4000;
const idleMs = 15_000;
const recordsAsked = 64;
/** Of all sidecars together, the newest; a record has about 1 KiB. */
const recordsKept = 1000;
/** Workloads that are looked at in the same moment. */
const workloadsMax = 32;

export class Collector {
  /** The mesh that is shown. */
  readonly mesh: Sidecars;
  readonly now: () => number;
  readonly #tap: RecordTap;
  readonly #book = new EdgeBook();
  readonly #list: Watch<readonly AskableSidecar[]>;
  readonly #edges: Watch<EdgesReading>;
  readonly #states: Watch<readonly KnownSidecar[]>;
  readonly #records: Watch<readonly CallRecord[]>;
  readonly #workloads = new Map<string, Watch<WorkloadFacts>>();

  constructor(mesh: Sidecars, now: () => number = Date.now) {
    this.mesh = mesh;
    this.now = now;
    this.#list = this.#watch(statesEveryMs, () => mesh.list());
    this.#edges = this.#watch(edgesEveryMs, () => this.#readEdges());
    this.#states = this.#watch(statesEveryMs, () => this.#readStates());
    this.#records = this.#watch(edgesEveryMs, () => this.#readRecords());
    this.#tap = new RecordTap({ list: () => this.sidecars(), now, idleMs });
  }

  /** Who calls whom. */
  edges(): Promise<Reading<EdgesReading>> {
    return this.#edges.look();
  }

  /** How each sidecar is. */
  states(): Promise<Reading<readonly KnownSidecar[]>> {
    return this.#states.look();
  }

  /** Refusals and failures of all sidecars, newest first. */
  records(): Promise<Reading<readonly CallRecord[]>> {
    return this.#records.look();
  }

  /** Calls that were seen since somebody looked at traces, and those of `records`; newest first. */
  async calls(): Promise<Reading<readonly CallRecord[]>> {
    const [tapped, { value, ...reading }] = [await this.#tap.look(), await this.records()];
    return { ...reading, value: merged([...tapped, ...(value ?? [])]) };
  }

  /** Why calls cannot be followed; '' where they can. */
  get tapError(): string {
    return this.#tap.error;
  }

  /** What the sidecars of one workload enforce and do. */
  workload(namespace: string, name: string): Promise<Reading<WorkloadFacts>> {
    const key = `${namespace}/${name}`;
    const watch =
      this.#workloads.get(key) ??
      this.#watch(statesEveryMs, async () => readWorkload(await this.sidecarsOf(namespace, name)));
    // The last that was looked at is the last in the map.
    this.#workloads.delete(key);
    this.#workloads.set(key, watch);
    for (const [oldest, one] of this.#workloads) {
      if (this.#workloads.size <= workloadsMax) break;
      one.close();
      this.#workloads.delete(oldest);
    }
    return watch.look();
  }

  /** The call that an `x-selvage-id` names; null: no sidecar knows it (any more). */
  async find(id: string): Promise<CallRecord | null> {
    const { value } = await this.records();
    const known = value?.find((record) => record.id === id);
    if (known !== undefined) return known;
    const answers = await this.ask<CallRecord>(`/why?id=${encodeURIComponent(id)}`);
    return answers.find(({ value }) => value !== null)?.value ?? null;
  }

  async sidecars(): Promise<readonly AskableSidecar[]> {
    const { value, error } = await this.#list.look();
    if (value === null) throw new Error(error);
    return value;
  }

  async sidecarsOf(namespace: string, workload: string): Promise<readonly AskableSidecar[]> {
    const all = await this.sidecars();
    return all.filter((one) => one.namespace === namespace && one.workload === workload);
  }

  /** Asks each sidecar. */
  async ask<T>(path: string): Promise<Answer<T>[]> {
    return askAll<T>(await this.sidecars(), path);
  }

  async close(): Promise<void> {
    const watches = [this.#list, this.#edges, this.#states, this.#records];
    for (const watch of [...watches, ...this.#workloads.values()]) watch.close();
    this.#tap.close();
    await this.mesh.close();
  }

  #watch<T>(everyMs: number, read: () => Promise<T>): Watch<T> {
    return new Watch({ read, everyMs, idleMs, now: this.now });
  }

  async #readEdges(): Promise<EdgesReading> {
    const answers = await this.ask<readonly EdgeCount[]>('/edges');
    const byPod = new Map(
      answers.map(({ sidecar, value }) => [podOf(sidecar), Array.isArray(value) ? value : null]),
    );
    this.#book.add(byPod, this.now());
    const workloads = answers.map(({ sidecar }) => `${sidecar.namespace}/${sidecar.workload}`);
    return {
      ...this.#book.view(),
      workloads: [...new Set(workloads)].toSorted(),
      silent: answers.filter((a) => a.error !== '').map((a) => `${podOf(a.sidecar)}: ${a.error}`),
    };
  }

  async #readStates(): Promise<readonly KnownSidecar[]> {
    const [answers, control] = await Promise.all([
      this.ask<unknown>('/status'),
      this.mesh.control?.('/sidecars').catch(() => null),
    ]);
    const told = new Map(sidecarsOf(control ?? []).map((one) => [podOf(one), one]));
    return answers
      .map((answer) => ({
        ...answer,
        value: answer.value === null ? null : statusOf(answer.value),
        control: told.get(podOf(answer.sidecar)) ?? null,
      }))
      .toSorted((a, b) => (podOf(a.sidecar) < podOf(b.sidecar) ? -1 : 1));
  }

  async #readRecords(): Promise<readonly CallRecord[]> {
    const answers = await this.ask<readonly CallRecord[]>(`/recent?limit=${recordsAsked}`);
    const all = answers.flatMap(({ value }) => (Array.isArray(value) ? value : []));
    return merged(all).slice(0, recordsKept);
  }
}

/** Newest first; the same record, told twice, once. */
function merged(records: readonly CallRecord[]): CallRecord[] {
  const seen = new Map(
    records.map((record) => {
      const { at, reporter, id, traceId, method, path, destination, durationMs } = record;
      return [
        [at, reporter, id, traceId, method, path, destination.workload, durationMs].join(' '),
        record,
      ];
    }),
  );
  return [...seen.values()].toSorted((a, b) => (a.at > b.at ? -1 : Number(a.at < b.at)));
}
