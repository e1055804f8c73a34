// One collection of the API server, kept equal to it: list, then watch, for ever.
import { Backoff } from '../backoff.ts';
import { systemClock, type Clock, type Timer } from '../clock.ts';
import type { Log } from '../log.ts';
import {
  KubeError,
  type KubeClient,
  type KubeObject,
  type Query,
  type WatchEvent,
} from './client.ts';
import { missingRule } from './collection-path.ts';
import { differences, keyOf, listAll, withoutBallast } from './collection.ts';
import { WatchBroken } from './watch-stream.ts';

export interface ReflectorOptions {
  readonly client: KubeClient;
  /** `/api/v1/pods`, `/apis/apps/v1/namespaces/x/deployments` */
  readonly path: string;
  /** Selectors. */
  readonly query?: Query;
  /** The object with this key came, changed or went. Of a new list: called when all of it is in `objects`. */
  readonly onChange: (key: string) => void;
  readonly log: Log;
  /** What is kept of each object, where memory counts. Must keep the metadata. */
  readonly slim?: (object: KubeObject) => KubeObject;
  readonly timing?: Partial<ReflectorTiming>;
  readonly clock?: Clock;
}

export interface ReflectorTiming {
  /** Between failures, doubling from first to max; a watch that lasted `settledMs` makes it start again. */
  readonly firstMs: number;
  readonly maxMs: number;
  readonly settledMs: number;
  /** A collection that is not there is asked for this often. */
  readonly missingEveryMs: number;
  /** One that may not be read, at first; at most once a minute later. */
  readonly forbiddenFirstMs: number;
}

const usualTiming: ReflectorTiming = {
  firstMs: 200,
  maxMs: 30_000,
  settledMs: 10_000,
  missingEveryMs: 30_000,
  forbiddenFirstMs: 2000,
};

export class Reflector {
  readonly #options: ReflectorOptions;
  readonly #timing: ReflectorTiming;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #stop = new AbortController();
  readonly #first = Promise.withResolvers<void>();
  readonly #backoff: Backoff;
  readonly #forbiddenBackoff: Backoff;
  #objects: Map<string, KubeObject> = new Map();
  /** Resource version to watch from; null: a new list is needed. */
  #version: string | null = null;
  #started = false;
  #synced = false;
  /** What is wrong at present, so that it is logged once; null: nothing. */
  #trouble: string | null = null;

  constructor(options: ReflectorOptions) {
    this.#options = options;
    this.#timing = { ...usualTiming, ...options.timing };
    this.#clock = options.clock ?? systemClock;
    this.#log = options.log.child({ collection: options.path });
    const { firstMs, maxMs, forbiddenFirstMs } = this.#timing;
    this.#backoff = new Backoff({ firstMs, maxMs, jitter: 0.5 });
    this.#forbiddenBackoff = new Backoff({ firstMs: forbiddenFirstMs, maxMs: 60_000, jitter: 0.2 });
    // Nobody has to wait for the first list.
    this.#first.promise.catch(() => undefined);
  }

  /**
   * `namespace/name`, of cluster-scoped ones `/name`, -> object, as of the last event. A collection that does not exist is
   * empty. After a failure the last state stays until the new one is whole.
   */
  get objects(): ReadonlyMap<string, KubeObject> {
    return this.#objects;
  }

  /** Whether there was a whole list. */
  get synced(): boolean {
    return this.#synced;
  }

  /** Resolves when the first list is whole, however long that takes; rejects only when stopped before. */
  start(): Promise<void> {
    if (!this.#started) {
      this.#started = true;
      void this.#run();
    }
    return this.#first.promise;
  }

  stop(): void {
    this.#stop.abort();
    this.#first.reject(new Error(`stopped before the first list of ${this.#options.path}`));
  }

  async #run(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      const waitMs = await this.#turn();
      if (waitMs > 0) await this.#pass(waitMs);
    }
  }

  /** A list where one is needed, and a watch; returns how long to wait before the next, ms. */
  async #turn(): Promise<number> {
    let watchingSinceMs: number | null = null;
    try {
      const version = this.#version ?? (await this.#list());
      watchingSinceMs = performance.now();
      if (!this.#stop.signal.aborted) await this.#watch(version);
      // A server that ends watches at once must not be asked in a loop.
      return this.#settled(watchingSinceMs) ? 0 : this.#backoff.next();
    } catch (error) {
      if (watchingSinceMs !== null) this.#settled(watchingSinceMs);
      return this.#stop.signal.aborted ? 0 : this.#afterFailure(error);
    }
  }

  #settled(sinceMs: number): boolean {
    if (performance.now() - sinceMs < this.#timing.settledMs) return false;
    this.#backoff.reset();
    return true;
  }

  /** Takes the whole collection and returns its resource version. */
  async #list(): Promise<string> {
    const { client, path, query } = this.#options;
    const listed = await listAll(client, path, query, this.#stop.signal);
    if (this.#stop.signal.aborted) return listed.version;
    for (const broken of listed.broken) this.#tellBroken(broken);
    this.#swap(new Map(listed.objects.map((object) => [keyOf(object), this.#slim(object)])));
    this.#version = listed.version;
    this.#forbiddenBackoff.reset();
    this.#recovered();
    return listed.version;
  }

  #swap(next: Map<string, KubeObject>): void {
    const changed = differences(this.#objects, next);
    this.#objects = next;
    this.#synced = true;
    for (const key of changed) this.#tell(key);
    this.#first.resolve();
  }

  async #watch(version: string): Promise<void> {
    const { client, path, query } = this.#options;
    const watchQuery = { ...query, resourceVersion: version, allowWatchBookmarks: 'true' };
    for await (const event of client.watch(path, watchQuery, this.#stop.signal)) {
      if (this.#stop.signal.aborted) return;
      this.#recovered();
      this.#take(event);
    }
  }

  #take({ type, object }: WatchEvent): void {
    const meta: Partial<KubeObject['metadata']> = object.metadata ?? {};
    if (typeof meta.resourceVersion === 'string') this.#version = meta.resourceVersion;
    if (type === 'BOOKMARK') return;
    if (typeof meta.name !== 'string' || meta.name === '') {
      this.#tellBroken(object);
      return;
    }
    const key = keyOf(object);
    if (type === 'DELETED') {
      if (this.#objects.delete(key)) this.#tell(key);
      return;
    }
    const before = this.#objects.get(key)?.metadata.resourceVersion;
    this.#objects.set(key, this.#slim(object));
    // After a watch is resumed some servers repeat the last event.
    if (before === undefined || before !== meta.resourceVersion) this.#tell(key);
  }

  #slim(object: KubeObject): KubeObject {
    const kept = withoutBallast(object);
    return this.#options.slim?.(kept) ?? kept;
  }

  #tell(key: string): void {
    try {
      this.#options.onChange(key);
    } catch (error) {
      this.#log.error({ key, error }, 'a user of the collection failed to take a change');
    }
  }

  #tellBroken(object: unknown): void {
    const shown = JSON.stringify(object)?.slice(0, 200);
    this.#log.warn({ object: shown }, 'an object without metadata.name was left out');
  }

  /** Decides between resuming and a new list, and how long to wait, ms. */
  #afterFailure(error: unknown): number {
    const status = error instanceof KubeError ? error.status : null;
    // 410: the version is too old; 504: the server never heard of it (restored from a backup); 400: it is none.
    const lost = status !== null && [400, 404, 410, 504].includes(status);
    if (lost || error instanceof WatchBroken) this.#version = null;
    const { path } = this.#options;
    if (status === 404) {
      this.#swap(new Map());
      this.#once('missing', () => this.#log.info({}, `${path} does not exist here; looking again`));
      return this.#timing.missingEveryMs * (0.9 + 0.2 * Math.random());
    }
    if (status === 403) {
      const mend = missingRule(path, ['list', 'watch']);
      this.#once('forbidden', () => {
        this.#log.error({ error, mend }, `may not list and watch ${path}: ${mend}`);
      });
      return this.#forbiddenBackoff.next();
    }
    const waitMs = this.#backoff.next();
    const asked = error instanceof KubeError ? (error.retryAfterMs ?? 0) : 0;
    if (status === 410) this.#log.debug({ error }, 'the watch is too old; listing anew');
    else this.#once('failing', () => this.#log.warn({ error }, `${path}: trying again`));
    return Math.max(waitMs, Math.min(asked, this.#timing.maxMs));
  }

  #once(trouble: string, tell: () => void): void {
    if (this.#trouble === trouble) return;
    this.#trouble = trouble;
    tell();
  }

  #recovered(): void {
    if (this.#trouble === null) return;
    this.#trouble = null;
    this.#log.info({ objects: this.#objects.size }, `${this.#options.path} is read again`);
  }

  /** Waits, at most until stopped. */
  #pass(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const { signal } = this.#stop;
      const timer: Timer = this.#clock.after(ms, done);
      signal.addEventListener('abort', done, { once: true });
      if (signal.aborted) done();
      function done(): void {
        timer.cancel();
        signal.removeEventListener('abort', done);
        resolve();
      }
    });
  }
}
