// Resources from a cluster, watched: endpoints take effect within a few milliseconds, policies when they are all there.
import { kinds, type KindEntry } from '#api/kinds/table.ts';
import type { AnyResource } from '#api/load.ts';
import type { Problem } from '#api/problem.ts';
import {
  KubeError,
  type KubeClient,
  type KubeObject,
  type Query,
} from '#runtime/kubernetes/client.ts';
import type { Log } from '#runtime/log.ts';

import { wantedSecrets } from '../api-keys.ts';
import { Debounce } from './debounce.ts';
import { Collection } from './kubernetes/collection.ts';
import { Secrets } from './kubernetes/secrets.ts';
import { servedPath } from './kubernetes/served.ts';
import { slimPod, slimPolicy, slimSecret, slimService, slimSlice } from './kubernetes/slim.ts';
import type { ResourceSource } from './source.ts';

export interface KubernetesSourceOptions {
  readonly client: KubeClient;
  /** Where control runs: a ConfigMap `istio` there configures the mesh, before the one in istio-system. */
  readonly namespace: string;
  /** @param noticedAtMs Date.now() of the first sign of the change */
  readonly onChange: (noticedAtMs: number) => void;
  readonly log: Log;
  readonly timing?: Partial<KubernetesTiming>;
}

export interface KubernetesTiming {
  /** Policies and Services: several that belong together are often applied one by one. */
  readonly quietMs: number;
  readonly waitMaxMs: number;
  /** Pods and EndpointSlices: a call that goes to a pod that is gone fails. */
  readonly endpointsQuietMs: number;
  readonly endpointsWaitMaxMs: number;
  /** How often it is looked for CRDs that were installed or replaced. */
  readonly lookEveryMs: number;
}

const usualTiming: KubernetesTiming = {
  quietMs: 100,
  waitMaxMs: 1000,
  endpointsQuietMs: 10,
  endpointsWaitMaxMs: 100,
  lookEveryMs: 5000,
};

/** Those of our table that are CRDs: every cluster has the others. */
const policyKinds = [...kinds.values()].filter(({ complete }) => complete);
/** Finished pods of Jobs stay for long and answer nobody. */
const runningPods = { fieldSelector: 'status.phase!=Succeeded,status.phase!=Failed' };
const rootNamespace = 'istio-system';

export class KubernetesSource implements ResourceSource {
  readonly #options: KubernetesSourceOptions;
  readonly #timing: KubernetesTiming;
  readonly #configuration: Debounce;
  readonly #endpoints: Debounce;
  /** Those that say where calls go. */
  readonly #fast: readonly Collection[];
  readonly #meshConfigs: readonly Collection[];
  readonly #services: Collection;
  readonly #secrets: Secrets;
  readonly #policies = new Map<KindEntry, Collection>();
  /** Also those that are not read to the end yet. */
  readonly #begun = new Set<Collection>();
  #timer: NodeJS.Timeout | null = null;
  #forbidden: readonly Problem[] = [];
  #ready = false;
  #stopped = false;

  constructor(options: KubernetesSourceOptions) {
    this.#options = options;
    this.#timing = { ...usualTiming, ...options.timing };
    const { quietMs, waitMaxMs, endpointsQuietMs, endpointsWaitMaxMs } = this.#timing;
    this.#configuration = new Debounce({
      quietMs,
      waitMaxMs,
      call: (firstAtMs) => this.#take(this.#collections(), firstAtMs),
    });
    this.#endpoints = new Debounce({
      quietMs: endpointsQuietMs,
      waitMaxMs: endpointsWaitMaxMs,
      call: (firstAtMs) => this.#take(this.#fast, firstAtMs),
    });
    this.#fast = [
      this.#collection('/api/v1/pods', slimPod, this.#endpoints, runningPods),
      this.#collection('/apis/discovery.k8s.io/v1/endpointslices', slimSlice, this.#endpoints),
    ];
    this.#secrets = new Secrets({
      wanted: wantedSecrets,
      open: (namespace, name) =>
        this.#collection(
          `/api/v1/namespaces/${namespace}/secrets`,
          slimSecret,
          this.#configuration,
          { fieldSelector: `metadata.name=${name}` },
        ),
      close: (collection) => {
        collection.stop();
        this.#begun.delete(collection);
      },
      waitMaxMs,
    });
    this.#services = this.#collection('/api/v1/services', slimService, this.#configuration);
    this.#meshConfigs = [...new Set([rootNamespace, options.namespace])].map((namespace) =>
      this.#collection(
        `/api/v1/namespaces/${namespace}/configmaps`,
        slimPolicy,
        this.#configuration,
        { fieldSelector: 'metadata.name=istio' },
      ),
    );
  }

  /** Resolves when every collection was read once: with a part of the policies, calls would be let through that others deny. */
  async start(): Promise<void> {
    const { log } = this.#options;
    log.info({}, 'reading the cluster');
    await Promise.all([
      ...[...this.#fast, this.#services].map((collection) => collection.start()),
      ...this.#meshConfigs.map((collection) => this.#startOptional(collection)),
      this.#lookUntilDone(),
    ]);
    for (const collection of this.#collections()) collection.refresh();
    await this.#followSecrets();
    for (const collection of this.#secrets.collections) collection.refresh();
    this.#ready = true;
    const pause = (): void => {
      if (this.#stopped) return;
      this.#timer = setTimeout(
        () => void this.#look().then(pause, pause),
        this.#timing.lookEveryMs,
      );
      this.#timer.unref();
    };
    pause();
    log.info({ resources: this.resources().length }, 'the cluster was read');
  }

  stop(): void {
    this.#stopped = true;
    this.#configuration.stop();
    this.#endpoints.stop();
    if (this.#timer !== null) clearTimeout(this.#timer);
    for (const collection of this.#begun) collection.stop();
    this.#secrets.stop();
  }

  /** The cluster remembers. */
  flush(): Promise<void> {
    return Promise.resolve();
  }

  resources(): readonly AnyResource[] {
    return this.#collections().flatMap(({ resources }) => resources);
  }

  problems(): readonly Problem[] {
    return [...this.#forbidden, ...this.#collections().flatMap(({ problems }) => problems)];
  }

  #collections(): Collection[] {
    const policies = [...this.#policies.values(), ...this.#secrets.collections];
    return [...this.#meshConfigs, this.#services, ...this.#fast, ...policies];
  }

  #collection(
    path: string,
    slim: (object: KubeObject) => KubeObject,
    debounce: Debounce,
    query?: Query,
  ): Collection {
    const { client, log } = this.#options;
    const collection = new Collection({
      client,
      path,
      ...(query === undefined ? {} : { query }),
      slim,
      // The first lists are told by `start` itself.
      onChange: () => this.#ready && debounce.poke(),
      log,
    });
    this.#begun.add(collection);
    return collection;
  }

  #take(collections: readonly Collection[], firstAtMs: number): void {
    const changed = collections.map((collection) => collection.refresh());
    if (!changed.includes(true)) return;
    this.#tell(firstAtMs);
  }

  /** New policies wait for the Secrets that they name, or they would refuse good keys until those are there. */
  #tell(firstAtMs: number): void {
    const { onChange } = this.#options;
    const secrets = this.#followSecrets();
    if (secrets === null) {
      onChange(firstAtMs);
      return;
    }
    const told = async (): Promise<void> => {
      await secrets;
      for (const collection of this.#secrets.collections) collection.refresh();
      if (!this.#stopped) onChange(firstAtMs);
    };
    void told();
  }

  #followSecrets(): Promise<void> | null {
    return this.#secrets.follow([...this.#policies.values()].flatMap(({ resources }) => resources));
  }

  /** Who runs no Istio has no ConfigMap of it, and may not have been given the right to look. */
  async #startOptional(collection: Collection): Promise<void> {
    const { client } = this.#options;
    const refused = client.get(collection.path, { fieldSelector: 'metadata.name=istio' }).then(
      () => collection.start(),
      (error: unknown) => {
        if (!(error instanceof KubeError) || error.status !== 403) return collection.start();
        const message = `control may not read ConfigMaps at ${collection.path}: the mesh's configuration there is not known`;
        const mend = 'allow it get, list and watch of the ConfigMap "istio" there';
        const code = 'mesh-config-forbidden';
        const problem: Problem = { severity: 'warning', code, message, mend };
        this.#forbidden = [...this.#forbidden, problem];
        const cured = (): void => {
          this.#forbidden = this.#forbidden.filter((one) => one !== problem);
        };
        // It is asked for again and again; the right may be given later.
        collection.start().then(cured, cured);
        return undefined;
      },
    );
    await Promise.race([collection.start(), refused]);
  }

  /** At the start the kinds that are served must be known, however long the API server takes. */
  async #lookUntilDone(): Promise<void> {
    while (!this.#stopped) {
      if (await this.#look()) return;
      await new Promise((resolve) => setTimeout(resolve, this.#timing.quietMs * 5));
    }
  }

  /** Begins to read what is served now and was not before. False: the API server could not be asked. */
  async #look(): Promise<boolean> {
    const looks = await Promise.all(policyKinds.map((entry) => this.#lookFor(entry)));
    return !looks.includes(false);
  }

  async #lookFor(entry: KindEntry): Promise<boolean> {
    const { client, log } = this.#options;
    try {
      const path = await servedPath(client, entry);
      const present = this.#policies.get(entry);
      // One that is gone empties by itself.
      if (path === null || path === present?.path || this.#stopped) return true;
      const collection = this.#collection(path, slimPolicy, this.#configuration);
      await collection.start();
      collection.refresh();
      this.#policies.set(entry, collection);
      if (present !== undefined) {
        present.stop();
        this.#begun.delete(present);
      }
      log.info({ kind: entry.kind, path }, 'policies are read');
      if (this.#ready) this.#tell(Date.now());
      return true;
    } catch (error) {
      if (!this.#stopped) {
        log.debug({ kind: entry.kind, error }, 'the kinds that are served could not be asked for');
      }
      return false;
    }
  }
}
