// Compares the status of every resource with what the mesh does, again and again, and has written what differs.
import type { Problem } from '#api/problem.ts';
import type { KubeClient } from '#runtime/kubernetes/client.ts';
import type { Log } from '#runtime/log.ts';

import type { Snapshots } from '../snapshots.ts';
import type { ResourceSource } from '../sources/source.ts';
import { isMeshParent } from '#api/traffic/references.ts';
import type { Census } from './census.ts';
import { StatusCollections, type StatusTarget } from './collections.ts';
import { conditionsOf, type Difference, statusOf, statusWith } from './conditions.ts';
import { enforcedKinds, type Generations } from './report.ts';
import { enforcedOf, routeStatus } from './route-parents.ts';
import { Schedule, type ScheduleTiming } from './schedule.ts';
import { type Enforcement, Tally } from './tally.ts';
import { StatusWriter, type StatusWrite } from './writer.ts';

export interface ReporterOptions {
  readonly client: KubeClient;
  readonly census: Census;
  /** What is wrong with the resources as they were written. */
  readonly source: Pick<ResourceSource, 'problems'>;
  /** What is in force. */
  readonly snapshots: Pick<Snapshots, 'view'>;
  /** Asked before every write. */
  readonly leads: () => boolean;
  readonly log: Log;
  readonly timing?: Partial<ReporterTiming>;
}

export interface ReporterTiming extends ScheduleTiming {
  /** Between two looks while something is on its way, and while nothing is. */
  readonly busyMs: number;
  readonly idleMs: number;
  /** From a change of a resource to the look at it: several come together. */
  readonly debounceMs: number;
}

const usualTiming: ReporterTiming = {
  busyMs: 1000,
  idleMs: 10_000,
  debounceMs: 250,
  doubtMs: 2000,
  messageEveryMs: 30_000,
  setbackGraceMs: 30_000,
};

/** Reasons of what the next acknowledgement may change. */
const onItsWay = new Set(['Pending', 'Refused']);
/** Written before the next look, so that what changed meanwhile does not wait for minutes. */
const writesMax = 20;

interface Due extends StatusWrite {
  readonly key: string;
  readonly urgent: boolean;
}

export class Reporter {
  readonly #options: ReporterOptions;
  readonly #timing: ReporterTiming;
  readonly #collections: StatusCollections;
  readonly #schedule: Schedule;
  readonly #writer: StatusWriter;
  #timer: NodeJS.Timeout | null = null;
  #running = false;
  /** A resource changed while the last look went on. */
  #missed = false;
  #stopped = false;

  constructor(options: ReporterOptions) {
    const { client, log } = options;
    this.#options = options;
    this.#timing = { ...usualTiming, ...options.timing };
    this.#collections = new StatusCollections(client, log, () => this.#poke());
    this.#schedule = new Schedule(this.#timing);
    this.#writer = new StatusWriter(client, log);
  }

  start(): void {
    this.#collections.start();
    this.#after(this.#timing.debounceMs);
  }

  stop(): void {
    this.#stopped = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#collections.stop();
  }

  /** A resource changed, by a user or by us. */
  #poke(): void {
    if (this.#running) this.#missed = true;
    else this.#after(this.#timing.debounceMs);
  }

  #after(ms: number): void {
    if (this.#stopped) return;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.#look(), ms);
    this.#timer.unref();
  }

  async #look(): Promise<void> {
    this.#running = true;
    this.#missed = false;
    let busy = true;
    try {
      busy = await this.#lookOnce();
    } catch (error) {
      this.#options.log.error({ error }, 'the status of resources could not be worked out');
    }
    this.#running = false;
    const { busyMs, idleMs } = this.#timing;
    this.#after(busy || this.#missed ? busyMs : idleMs);
  }

  /** True: something is on its way, so look again soon. */
  async #lookOnce(): Promise<boolean> {
    const mesh = await this.#options.census.take();
    if (this.#stopped || !this.#options.leads()) return false;
    const targets = [...this.#collections.targets()];
    const [own] = mesh.reports;
    const { due, open } = this.#compare(targets, new Tally(mesh), own?.known ?? new Map());
    this.#writer.keepOnly(targets);
    this.#schedule.keepOnly(new Set(targets.map(keyOf)));
    const first = due.toSorted((a, b) => Number(b.urgent) - Number(a.urgent)).slice(0, writesMax);
    for (const write of first) {
      // Whoever leads now writes it.
      if (this.#stopped || !this.#options.leads()) return false;
      // The one before it may have been refused for its whole kind.
      if (this.#writer.mustWait(write.target)) continue;
      if (await this.#writer.write(write)) this.#schedule.written(write.key, performance.now());
    }
    return open || due.length > 0;
  }

  #compare(
    targets: readonly StatusTarget[],
    tally: Tally,
    known: Generations,
  ): { due: Due[]; open: boolean } {
    const problems = Map.groupBy(this.#options.source.problems(), ({ resource }) => resource);
    const now = new Date();
    const due: Due[] = [];
    let open = false;
    for (const target of targets) {
      const { kind, object, byParent } = target;
      const { generation = 0, namespace = '', name } = object.metadata;
      const key = keyOf(target);
      const inForce = known.get(key);
      const own = problems.get(`${kind} ${namespace}/${name}`) ?? [];
      const looked = byParent
        ? this.#lookAtRoute(target, inForce === generation, own, tally.of(key), now)
        : lookAt(target, inForce, own, enforcedKinds.has(kind) ? tally.of(key) : null, now);
      open ||= looked.pending;
      const { status, difference, setback } = looked;
      if (status === null || this.#writer.mustWait(target)) continue;
      const candidate = { key, generation, difference, setback, doubtful: inForce !== generation };
      if (!this.#schedule.isDue(candidate, performance.now())) continue;
      due.push({ key, target, status, urgent: difference === 'status' });
    }
    return { due, open };
  }

  #lookAtRoute(
    target: StatusTarget,
    inForce: boolean,
    problems: readonly Problem[],
    enforcement: Enforcement,
    now: Date,
  ): Looked {
    const { object } = target;
    const { generation = 0 } = object.metadata;
    const { parentRefs } = (object['spec'] ?? {}) as { parentRefs?: readonly unknown[] };
    const finding = {
      generation,
      parentRefs: parentRefs ?? [],
      verdicts: inForce
        ? (this.#options.snapshots.view?.routeVerdicts(keyOf(target)) ?? null)
        : null,
      problems,
      isOurs: (ref: unknown) => isMeshParent(ref as Parameters<typeof isMeshParent>[0]),
      enforcement,
    };
    const present = object['status'];
    const found = routeStatus(finding, present, now);
    const { status = null, difference = 'none' } = found ?? {};
    const next = enforcedOf(status, generation);
    const coming = next.some(({ reason }) => onItsWay.has(String(reason)));
    const pending = coming || (!inForce && found === null);
    const setback = coming && enforcedOf(present, generation).some(({ holds }) => holds);
    return { status, difference, pending, setback };
  }
}

/** What the status of a resource should be; null: nothing is to be said of it. */
interface Looked {
  readonly status: StatusWrite['status'] | null;
  readonly difference: Difference;
  readonly pending: boolean;
  readonly setback: boolean;
}

function lookAt(
  { object }: StatusTarget,
  inForce: number | undefined,
  problems: readonly Problem[],
  enforcement: Enforcement | null,
  now: Date,
): Looked {
  const { generation = 0 } = object.metadata;
  const conditions = conditionsOf({ generation, inForce, problems, enforcement });
  const pending = conditions?.some(({ reason }) => onItsWay.has(reason)) ?? true;
  if (conditions === null) return { status: null, difference: 'none', pending, setback: false };
  const present = object['status'];
  const { status, difference } = statusWith(present, generation, conditions, now);
  const { observedGeneration } = (present ?? {}) as { observedGeneration?: unknown };
  const setback =
    pending && observedGeneration === generation && statusOf(present, 'Enforced') === 'True';
  return { status, difference, pending, setback };
}

function keyOf({ kind, object }: StatusTarget): string {
  return `${kind}/${object.metadata.namespace ?? ''}/${object.metadata.name}`;
}
