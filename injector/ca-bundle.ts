// Keeps the caBundle of our webhooks equal to the trust bundle: the API server trusts us by nothing else.
import { Backoff } from '#runtime/backoff.ts';
import { systemClock, type Clock, type Timer } from '#runtime/clock.ts';
import { type KubeClient, KubeError, type KubeObject } from '#runtime/kubernetes/client.ts';
import { Reflector } from '#runtime/kubernetes/reflector.ts';
import type { Log } from '#runtime/log.ts';

export interface CaBundleOptions {
  readonly client: KubeClient;
  /** Of both configurations. */
  readonly name: string;
  /** PEM; during a rotation of the root both. */
  readonly trustBundle: () => string;
  readonly onWrite: (outcome: 'written' | 'failed') => void;
  readonly log: Log;
  readonly clock?: Clock;
}

const collections = ['mutatingwebhookconfigurations', 'validatingwebhookconfigurations'].map(
  (resource) => `/apis/admissionregistration.k8s.io/v1/${resource}`,
);

/** Every replica does the same: they all have the same bundle, and who comes second finds nothing to do. */
export class CaBundleKeeper {
  readonly #options: CaBundleOptions;
  readonly #kept: readonly Kept[];

  constructor(options: CaBundleOptions) {
    this.#options = options;
    this.#kept = collections.map((collection) => new Kept(collection, options));
  }

  /** Resolves when both have been seen, or are seen not to be there; rejects only when stopped before. */
  async start(): Promise<void> {
    await Promise.all(this.#kept.map((kept) => kept.start()));
  }

  /** The bundle has changed. */
  update(): void {
    for (const kept of this.#kept) kept.look();
  }

  stop(): void {
    this.#options.log.debug({}, 'caBundle is no longer kept');
    for (const kept of this.#kept) kept.stop();
  }
}

/** One of the two configurations. */
class Kept {
  readonly #collection: string;
  readonly #options: CaBundleOptions;
  readonly #reflector: Reflector;
  readonly #backoff = new Backoff({ firstMs: 100, maxMs: 30_000, jitter: 0.2 });
  #timer: Timer | null = null;
  /** Our last write, and the version that it was made over. */
  #written: { readonly over: string | undefined; readonly object: KubeObject } | null = null;
  #busy = false;
  #again = false;
  #stopped = false;

  constructor(collection: string, options: CaBundleOptions) {
    this.#collection = collection;
    this.#options = options;
    this.#reflector = new Reflector({
      client: options.client,
      path: collection,
      query: { fieldSelector: `metadata.name=${options.name}` },
      onChange: () => this.look(),
      log: options.log,
    });
  }

  async start(): Promise<void> {
    await this.#reflector.start();
    this.look();
  }

  look(): void {
    this.#timer?.cancel();
    this.#timer = null;
    // One at a time: what is seen meanwhile is looked at afterwards.
    if (this.#busy) this.#again = true;
    else void this.#bringUpToDate();
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
    this.#reflector.stop();
  }

  async #bringUpToDate(): Promise<void> {
    const present = this.#present();
    const patch = present === undefined ? null : bundlePatch(present, this.#options.trustBundle());
    if (present === undefined || patch === null || this.#stopped) return;
    this.#busy = true;
    try {
      await this.#write(present, patch);
    } finally {
      this.#busy = false;
      if (this.#again) {
        this.#again = false;
        this.look();
      }
    }
  }

  /** What we wrote comes back by the watch a moment later. */
  #present(): KubeObject | undefined {
    const seen = this.#reflector.objects.get(`/${this.#options.name}`);
    const isOld = seen !== undefined && seen.metadata.resourceVersion === this.#written?.over;
    return isOld ? this.#written?.object : seen;
  }

  async #write(present: KubeObject, patch: readonly object[]): Promise<void> {
    const { client, name, onWrite, log, clock = systemClock } = this.#options;
    const path = `${this.#collection}/${name}`;
    try {
      const object = await client.patch<KubeObject>(path, patch, 'json');
      this.#written = { over: present.metadata.resourceVersion, object };
      this.#backoff.reset();
      onWrite('written');
      log.info({ path }, 'caBundle brought up to date');
    } catch (error) {
      if (this.#stopped) return;
      onWrite('failed');
      // Somebody else was faster: the watch tells what it looks like now.
      const isRace = error instanceof KubeError && [409, 422].includes(error.status);
      const waitMs = this.#backoff.next();
      if (!isRace) log.warn({ error, path, retryInMs: Math.round(waitMs) }, 'caBundle not written');
      this.#timer = clock.after(waitMs, () => this.look());
    }
  }
}

/**
 * The JSON Patch that gives every webhook the bundle; null where they all have it. It holds only for the version that was
 * looked at: the webhooks of another may stand in another order.
 */
export function bundlePatch(configuration: KubeObject, trustBundlePem: string): object[] | null {
  const wanted = Buffer.from(trustBundlePem).toString('base64');
  const webhooks: unknown = configuration['webhooks'];
  const changes = (Array.isArray(webhooks) ? webhooks : []).flatMap((webhook: unknown, i) => {
    const present = (webhook as { clientConfig?: { caBundle?: unknown } } | null)?.clientConfig;
    if (present === undefined || present.caBundle === wanted) return [];
    return [{ op: 'add', path: `/webhooks/${i}/clientConfig/caBundle`, value: wanted }];
  });
  if (changes.length === 0) return null;
  const value = configuration.metadata.resourceVersion;
  return [{ op: 'test', path: '/metadata/resourceVersion', value }, ...changes];
}
