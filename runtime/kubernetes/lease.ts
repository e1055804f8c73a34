// Leader election by a Lease: of several replicas one leads, and it knows in time when it no longer does.
import { systemClock, type Clock, type Timer } from '../clock.ts';
import type { Log } from '../log.ts';
import { KubeError, type KubeClient } from './client.ts';
import { missingRule } from './collection-path.ts';
import { claim, holds, isFree, release, type LeaseObject } from './lease-record.ts';

export interface LeadershipOptions {
  readonly client: KubeClient;
  readonly namespace: string;
  readonly name: string;
  /** Of this replica, never used by two at once: the name of its pod. */
  readonly identity: string;
  /** Called at each change, last with false when it stops. */
  readonly onChange: (leads: boolean) => void;
  readonly log: Log;
  readonly clock?: Clock;
  /** ms from any start, on a clock that nobody sets; for tests. */
  readonly monotonicMs?: () => number;
}

const durationSeconds = 15;
const durationMs = durationSeconds * 1000;
const everyMs = 5000;
/** After a failure: two in a row must not cost the lead. */
const againMs = 2000;
/** Stopping waits so long at most for the API server to take the release. */
const releaseTimeoutMs = 3000;

/** A lease that another holds, as last seen. */
interface Observed {
  /** Changes with every renewal. */
  readonly version: string;
  /** On our own clock: clocks of machines are never compared. */
  readonly atMs: number;
}

export class Leadership {
  readonly #options: LeadershipOptions;
  readonly #clock: Clock;
  readonly #nowMs: () => number;
  readonly #log: Log;
  readonly #path: string;
  #observed: Observed | null = null;
  /** The lease as we wrote it last; null: read it before writing. */
  #own: LeaseObject | null = null;
  /** On the monotonic clock: from then on another may lead. */
  #leadsUntilMs = Number.NEGATIVE_INFINITY;
  #told = false;
  #state: 'new' | 'started' | 'stopped' = 'new';
  #trouble = false;
  #timer: Timer | null = null;
  #endTimer: Timer | null = null;
  #turn: Promise<void> = Promise.resolve();

  constructor(options: LeadershipOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#nowMs = options.monotonicMs ?? (() => performance.now());
    this.#log = options.log.child({ lease: `${options.namespace}/${options.name}` });
    this.#path = `/apis/coordination.k8s.io/v1/namespaces/${options.namespace}/leases`;
  }

  /** True only while no other replica can lead, also in a process that was stopped and goes on. */
  get leads(): boolean {
    return this.#nowMs() < this.#leadsUntilMs;
  }

  start(): void {
    if (this.#state !== 'new') return;
    this.#state = 'started';
    this.#begin();
  }

  /** Ends the lead at once, and gives the lease up, so that another need not wait for its end. */
  async stop(): Promise<void> {
    if (this.#state === 'stopped') return;
    this.#state = 'stopped';
    this.#timer?.cancel();
    this.#endLead();
    let timer: Timer | null = null;
    const late = new Promise<void>((resolve) => {
      timer = this.#clock.after(releaseTimeoutMs, resolve);
    });
    // What is under way may still take the lease.
    await Promise.race([this.#turn.then(() => this.#release()), late]);
    (timer as Timer | null)?.cancel();
  }

  #begin(): void {
    this.#turn = this.#takeTurn();
  }

  async #takeTurn(): Promise<void> {
    await this.#tryOnce();
    if (this.#state === 'stopped') return;
    const waitMs = (this.#trouble ? againMs : everyMs) * (0.95 + 0.1 * Math.random());
    this.#timer = this.#clock.after(waitMs, () => this.#begin());
  }

  /** Takes or renews the lease where that is ours to do. Never rejects. */
  async #tryOnce(): Promise<void> {
    const startedAtMs = this.#nowMs();
    try {
      if (await this.#claim(startedAtMs)) this.#lead(startedAtMs + durationMs);
      else this.#endLead();
      if (this.#trouble) this.#log.info({}, 'the lease is reachable again');
      this.#trouble = false;
    } catch (error) {
      // Whether the write arrived is not known: read before the next.
      this.#own = null;
      // Another was faster, which the next look at the lease will tell.
      if (error instanceof KubeError && error.status === 409) return;
      this.#tellTrouble(error);
    }
  }

  /** Whether the lease is ours now. */
  async #claim(nowMs: number): Promise<boolean> {
    const { client, identity } = this.#options;
    const present = this.#own ?? (await this.#read());
    const next = claim(present, { identity, durationSeconds, now: new Date(this.#clock.now()) });
    if (present === null) {
      const { namespace, name } = this.#options;
      const metadata = { name, namespace };
      this.#own = await client.create<LeaseObject>(this.#path, { ...next, metadata });
      return true;
    }
    if (!holds(present, identity) && !this.#mayTake(present, nowMs)) return false;
    this.#own = await client.replace<LeaseObject>(`${this.#path}/${this.#options.name}`, next);
    return true;
  }

  async #read(): Promise<LeaseObject | null> {
    try {
      return await this.#options.client.get<LeaseObject>(`${this.#path}/${this.#options.name}`);
    } catch (error) {
      if (error instanceof KubeError && error.status === 404) return null;
      throw error;
    }
  }

  /** The lease of another ends when we saw no renewal for as long as it lasts. */
  #mayTake(lease: LeaseObject, nowMs: number): boolean {
    if (isFree(lease)) return true;
    const version = lease.metadata.resourceVersion ?? '';
    if (this.#observed?.version !== version) this.#observed = { version, atMs: nowMs };
    const lastsMs = (lease.spec?.leaseDurationSeconds ?? durationSeconds) * 1000;
    return nowMs - this.#observed.atMs >= lastsMs;
  }

  #lead(untilMs: number): void {
    if (this.#state === 'stopped') return;
    this.#leadsUntilMs = untilMs;
    this.#endTimer?.cancel();
    const leftMs = untilMs - this.#nowMs();
    // An answer that took longer than the lease lasts is worth nothing.
    if (leftMs <= 0) {
      this.#endLead();
      return;
    }
    this.#endTimer = this.#clock.after(leftMs, () => this.#endLead());
    this.#tell(true);
  }

  #endLead(): void {
    this.#endTimer?.cancel();
    this.#leadsUntilMs = Number.NEGATIVE_INFINITY;
    this.#tell(false);
  }

  #tell(leads: boolean): void {
    if (this.#told === leads) return;
    this.#told = leads;
    const { identity, onChange } = this.#options;
    this.#log.info({ identity }, leads ? 'leads from now on' : 'leads no longer');
    try {
      onChange(leads);
    } catch (error) {
      this.#log.error({ error }, 'a user of the lead failed to take its change');
    }
  }

  async #release(): Promise<void> {
    const own = this.#own;
    if (own === null) return;
    try {
      const path = `${this.#path}/${this.#options.name}`;
      await this.#options.client.replace(path, release(own, new Date(this.#clock.now())));
    } catch (error) {
      this.#log.debug({ error }, 'the lease was not released; it ends by itself');
    }
  }

  #tellTrouble(error: unknown): void {
    if (this.#trouble) return;
    this.#trouble = true;
    const forbidden = error instanceof KubeError && error.status === 403;
    const mend = forbidden ? missingRule(this.#path, ['get', 'create', 'update']) : undefined;
    this.#log.warn({ error, mend }, 'the lease can be neither read nor renewed; trying again');
  }
}
