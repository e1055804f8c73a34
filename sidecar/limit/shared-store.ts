// Counts in Redis as limits use them: one question for each request, an answer in time or none.
import type { RateLimitSpec } from '#api/kinds/rate-limit.ts';

import { durationMs } from '../duration.ts';
import { leaseMs, Leases, partsOfLease, type Lease } from './leases.ts';
import type { RedisConnection } from './redis.ts';

export type StoreSpec = Omit<NonNullable<RateLimitSpec['redis']>, 'onFailure'>;

/** Requests wait so long for the first connection of all; for later ones none does. */
const openMaxMs = 1000;
/** After so many questions in a row without an answer in time, it is asked only now and then. */
const patience = 8;
const probeEveryMs = 250;
/** After so many probes without an answer the connection is given up for a new one. */
const probesMax = 8;

export class SharedStore {
  /** Where it is; stores with the same one are the same. */
  readonly signature: string;
  readonly #spec: StoreSpec;
  readonly #timeoutMs: number;
  #opening: Promise<RedisConnection | null> | null = null;
  #connection: RedisConnection | null = null;
  #openUntilMs = 0;
  #closed = false;
  /** Questions that were not answered yet. */
  #asked = 0;
  /** Questions in a row that had no answer in time. */
  #misses = 0;
  #probeAtMs = 0;
  readonly #leases: Leases;

  /** @param lastMs how long leases last that are not renewed */
  constructor(spec: StoreSpec, signature: string, lastMs = leaseMs) {
    this.signature = signature;
    this.#spec = spec;
    this.#timeoutMs = durationMs(spec.timeout, 20);
    this.#leases = new Leases((leases, forMs) => void this.#renew(leases, forMs), lastMs);
  }

  /** The numbers of script.ts; null when there is no answer in time. Never rejects. */
  async check(keys: readonly string[], args: readonly string[]): Promise<readonly number[] | null> {
    this.#asked += 1;
    const answer = await this.#ask(keys, args);
    this.#asked -= 1;
    this.#dropIfUnused();
    return answer;
  }

  /** A lease that Redis has given, or may have: it is renewed until it is released. */
  hold(lease: Lease): void {
    this.#leases.hold(lease);
  }

  /** A request is over, or goes no further. Where Redis cannot be told, the lease ends by itself. */
  release(lease: Lease): void {
    this.#leases.letGo(lease);
    const connection = this.#connection;
    if (connection?.isReady() !== true) return this.#dropIfUnused();
    this.#asked += 1;
    void connection.release(lease.key, lease.name).finally(() => {
      this.#asked -= 1;
      this.#dropIfUnused();
    });
  }

  /** Requests that began under a snapshot before still get their answers. */
  close(): void {
    this.#closed = true;
    this.#dropIfUnused();
  }

  /** Also when nobody asks meanwhile: requests that last are what such a limit counts. */
  async #renew(leases: readonly Lease[], lastMs: number): Promise<void> {
    const connection = this.#connection;
    // All are renewed as soon as there is one.
    if (connection === null) return void (await this.#open());
    const names = leases.map(({ name }) => name);
    const keys = leases.map(({ key }) => key);
    const renewed = connection.renew(keys, [String(lastMs), ...names]);
    // As of a host that vanished, see below.
    if ((await inTime(renewed, lastMs / partsOfLease)) === 'late') this.#drop(connection);
  }

  #dropIfUnused(): void {
    if (this.#closed && this.#asked === 0 && this.#leases.size === 0) this.#drop(this.#connection);
  }

  async #ask(keys: readonly string[], args: readonly string[]): Promise<readonly number[] | null> {
    if (this.#misses >= patience) {
      const now = performance.now();
      if (now < this.#probeAtMs) return null;
      this.#probeAtMs = now + probeEveryMs;
    }
    const connection = this.#connection ?? (await this.#open());
    if (connection === null) return null;
    if (!connection.isReady()) {
      const waitMs = this.#openUntilMs - performance.now();
      if (waitMs <= 0 || (await inTime(connection.ready, waitMs)) === 'late') return null;
    }
    const answer = await inTime(connection.check(keys, args), this.#timeoutMs);
    if (answer === 'late') {
      this.#miss();
      return null;
    }
    this.#misses = 0;
    if (connection.isLost()) this.#drop(connection);
    return answer;
  }

  #open(): Promise<RedisConnection | null> {
    this.#opening ??= this.#connect();
    return this.#opening;
  }

  async #connect(): Promise<RedisConnection | null> {
    try {
      const { connectRedis } = await import('./redis.ts');
      const connection = await connectRedis(this.#spec, () => this.#leases.renewAll());
      if (this.#openUntilMs === 0) this.#openUntilMs = performance.now() + openMaxMs;
      this.#connection = connection;
      // The last request may have ended while this was made for its lease.
      this.#dropIfUnused();
      return connection;
    } catch {
      // The password's file is not there (yet).
      this.#opening = null;
      return null;
    }
  }

  /** A host that vanished never says so: after a while the connection is made anew. */
  #miss(): void {
    this.#misses += 1;
    if (this.#misses < patience + probesMax) return;
    this.#misses = patience;
    this.#drop(this.#connection);
  }

  #drop(connection: RedisConnection | null): void {
    if (connection !== this.#connection) return;
    this.#connection = null;
    this.#opening = null;
    connection?.close();
  }
}

/** Never rejects, as nothing that it is given does. */
async function inTime<T>(promise: Promise<T>, ms: number): Promise<T | 'late'> {
  const { promise: late, resolve } = Promise.withResolvers<'late'>();
  const timer = setTimeout(() => resolve('late'), ms);
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
