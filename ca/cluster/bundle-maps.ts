// The trust bundle in every namespace: a ConfigMap that pods mount, written again whenever somebody changes it.
import type { Clock } from '#runtime/clock.ts';
import { KubeError, type KubeClient, type KubeObject } from '#runtime/kubernetes/client.ts';
import { Reflector } from '#runtime/kubernetes/reflector.ts';
import type { Log } from '#runtime/log.ts';

export interface BundleMapsOptions {
  readonly client: KubeClient;
  /** Every root to trust now, PEM. */
  readonly bundlePem: () => string;
  readonly clock: Clock;
  readonly log: Log;
}

export const bundleMapName = 'selvage-ca-root-cert';
export const bundleMapKey = 'root-cert.pem';
const atOnceMax = 8;
const retryMs = 5000;

/**
 * Started by the replica that leads alone: two that write would undo each other's work for the seconds in which one of them
 * does not know the newest root yet.
 */
export class BundleMaps {
  readonly #options: BundleMapsOptions;
  readonly #namespaces: Reflector;
  readonly #maps: Reflector;
  readonly #dirty = new Set<string>();
  readonly #busy = new Set<string>();
  readonly #failing = new Set<string>();
  #state: 'new' | 'reading' | 'writing' | 'stopped' = 'new';

  constructor(options: BundleMapsOptions) {
    const { client, log } = options;
    this.#options = options;
    this.#namespaces = new Reflector({
      client,
      path: '/api/v1/namespaces',
      onChange: (key) => this.#mark(key.slice(1)),
      log,
    });
    this.#maps = new Reflector({
      client,
      path: '/api/v1/configmaps',
      query: { fieldSelector: `metadata.name=${bundleMapName}` },
      onChange: (key) => this.#mark(key.slice(0, key.indexOf('/'))),
      log,
    });
  }

  start(): void {
    this.#state = 'reading';
    void this.#begin();
  }

  /** There is another bundle. */
  changed(): void {
    for (const key of this.#namespaces.objects.keys()) this.#dirty.add(key.slice(1));
    this.#pump();
  }

  stop(): void {
    this.#state = 'stopped';
    this.#namespaces.stop();
    this.#maps.stop();
  }

  async #begin(): Promise<void> {
    try {
      // Without both lists nobody knows what is missing.
      await Promise.all([this.#namespaces.start(), this.#maps.start()]);
    } catch {
      // Stopped before.
      return;
    }
    if (this.#state !== 'reading') return;
    this.#state = 'writing';
    this.changed();
  }

  #mark(namespace: string): void {
    this.#dirty.add(namespace);
    this.#pump();
  }

  #pump(): void {
    if (this.#state !== 'writing') return;
    for (const namespace of this.#dirty) {
      if (this.#busy.size >= atOnceMax) return;
      if (this.#busy.has(namespace)) continue;
      this.#dirty.delete(namespace);
      this.#busy.add(namespace);
      void this.#reconcile(namespace).finally(() => {
        this.#busy.delete(namespace);
        this.#pump();
      });
    }
  }

  async #reconcile(namespace: string): Promise<void> {
    const { bundlePem, clock, log } = this.#options;
    const pem = bundlePem();
    const place = this.#namespaces.objects.get(`/${namespace}`);
    const map = this.#maps.objects.get(`${namespace}/${bundleMapName}`);
    if (!wantsWrite(place, map, pem)) {
      this.#failing.delete(namespace);
      return;
    }
    try {
      await this.#write(namespace, pem);
      this.#failing.delete(namespace);
      log.info({ namespace }, 'trust bundle written');
    } catch (error) {
      if (isGoing(error)) return;
      if (!this.#failing.has(namespace)) {
        log.error({ error, namespace }, 'the trust bundle was not written; trying again');
      }
      this.#failing.add(namespace);
      clock.after(retryMs, () => this.#mark(namespace));
    }
  }

  /** By server-side apply: made where it is not there, and what others added to it stays theirs. */
  async #write(namespace: string, pem: string): Promise<void> {
    await this.#options.client.patch(
      `/api/v1/namespaces/${namespace}/configmaps/${bundleMapName}`,
      {
        apiVersion: 'v1',
        kind: 'ConfigMap',
        metadata: {
          name: bundleMapName,
          namespace,
          labels: { 'app.kubernetes.io/managed-by': 'selvage-ca' },
        },
        data: { [bundleMapKey]: pem },
      },
      'apply',
      { fieldManager: 'selvage-ca', force: 'true' },
    );
  }
}

/** Whether a namespace's ConfigMap has to be written. One that is going, or gone, takes nothing new. */
export function wantsWrite(
  namespace: KubeObject | undefined,
  map: KubeObject | undefined,
  bundlePem: string,
): boolean {
  if (namespace === undefined || namespace.metadata.deletionTimestamp !== undefined) return false;
  const data = map?.['data'] as Readonly<Record<string, unknown>> | undefined;
  return data?.[bundleMapKey] !== bundlePem;
}

/** The namespace went while we wrote: nothing is left to do. */
function isGoing(error: unknown): boolean {
  if (!(error instanceof KubeError)) return false;
  return error.status === 404 || /is being terminated/.test(error.message);
}
