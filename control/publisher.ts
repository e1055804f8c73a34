// From a change of resources or keys to new snapshots: collect, resolve keys, build, tell every sidecar.
import { collectMesh, type MeshResources } from '#api/mesh.ts';
import { nameOf, problemAt } from '#api/origin.ts';
import type { Problem } from '#api/problem.ts';
import type { Endpoint } from '#api/snapshot.ts';
import type { Log } from '#runtime/log.ts';

import { ApiKeyResolver } from './api-keys.ts';
import { Catalog } from './catalog.ts';
import type { Change, ChangeLog } from './changes.ts';
import type { KeySets } from './jwks/key-sets.ts';
import { KeyResolver, wantedKeys } from './jwks/resolve.ts';
import type { Snapshots } from './snapshots.ts';
import type { ResourceSource } from './sources/source.ts';
import { MeshView } from './view.ts';

export interface PublisherOptions {
  readonly source: Pick<ResourceSource, 'resources' | 'problems'>;
  readonly keys: KeySets;
  readonly snapshots: Snapshots;
  readonly changes: ChangeLog;
  /** The trust domain that the CA signs for; null: not known yet. */
  readonly trustDomain: () => string | null;
  /** New snapshots are there. @param changedAtMs when the change was noticed */
  readonly publish: (changedAtMs: number) => void;
  /** All of it is done. */
  readonly onPublished?: (seconds: number, changes: readonly Change[]) => void;
  readonly log: Log;
  /** How long new policies wait for keys that nobody has had before; 1 s where it is left out. */
  readonly keysWaitMs?: number;
}

export class Publisher {
  readonly #options: PublisherOptions;
  readonly #resolver = new KeyResolver();
  readonly #apiKeys = new ApiKeyResolver();
  #problems: readonly Problem[] = [];
  #catalog: Catalog | null = null;
  #dueSinceMs: number | null = null;
  #running: Promise<void> | null = null;

  constructor(options: PublisherOptions) {
    this.#options = options;
  }

  /** What is wrong with the resources in force, as of the last publication. */
  problems(): readonly Problem[] {
    return this.#problems;
  }

  /** An endpoint of a Service by one of its full names, as of the resources that are published next; null: there is none. */
  placeOf(host: string, port: number): Endpoint | null {
    return this.#catalog?.placeOf(host, port) ?? null;
  }

  /** Builds and publishes. Calls that come while it runs become one more run. @param changedAtMs see `publish` */
  update(changedAtMs: number): Promise<void> {
    this.#dueSinceMs ??= changedAtMs;
    this.#running ??= this.#run();
    return this.#running;
  }

  async #run(): Promise<void> {
    try {
      while (this.#dueSinceMs !== null) {
        const changedAtMs = this.#dueSinceMs;
        this.#dueSinceMs = null;
        await this.#publishOnce(changedAtMs);
      }
    } catch (error) {
      // Nothing here should throw; if it does, sidecars keep what they have, and the next change is another try.
      this.#options.log.error({ error }, 'snapshots could not be built; the last ones stay');
    } finally {
      this.#running = null;
    }
  }

  async #publishOnce(changedAtMs: number): Promise<void> {
    const { source, keys, snapshots, changes, publish, onPublished, log } = this.#options;
    const { keysWaitMs = 1000 } = this.#options;
    const startedAtMs = performance.now();
    const resources = source.resources();
    const mesh = collectMesh(resources);
    // Issuers may be services of the mesh, so these are known first.
    this.#catalog = Catalog.of(mesh, this.#catalog);
    keys.want(wantedKeys(mesh.requestAuthentications));
    // Without this, a new policy would refuse good tokens until its keys are there.
    await keys.ready(keysWaitMs);
    const resolved = this.#resolver.resolve(mesh.requestAuthentications, (from) =>
      keys.state(from),
    );
    const keyed = this.#apiKeys.resolve(mesh.extensions, mesh.secrets);
    this.#problems = [
      ...source.problems(),
      ...meshProblems(mesh, this.#options.trustDomain()),
      ...resolved.problems,
      ...keyed.problems,
    ];
    const keyedMesh = { ...mesh, extensions: keyed.extensions };
    snapshots.replace(new MeshView(keyedMesh, resolved.policies, snapshots.view, this.#catalog));
    publish(changedAtMs);
    const news = changes.record(snapshots.revision, resources, this.#problems);
    for (const { what, resource, file, line, problem } of news) {
      const fields = { what, resource, file, line, problem: problem?.message, mend: problem?.mend };
      if (what === 'problem') log.warn(fields, 'a problem appeared');
      else log.debug(fields, 'changed');
    }
    const tookMs = performance.now() - startedAtMs;
    onPublished?.(tookMs / 1000, news);
    const rounded = Math.round(tookMs);
    log.info({ revision: snapshots.revision, changes: news.length, tookMs: rounded }, 'published');
  }
}

function meshProblems(mesh: MeshResources, trustDomain: string | null): Problem[] {
  const problems = mesh.replaced.map(({ old, by }) =>
    problemAt(by, {
      severity: 'warning',
      code: 'resource-repeated',
      path: 'metadata.name',
      message: `${nameOf(by)} is written twice, first in ${old.origin?.file ?? 'another place'}; the later one counts`,
      mend: 'remove one of them',
    }),
  );
  const configured = mesh.meshConfig.trustDomain;
  if (trustDomain !== null && configured !== trustDomain) {
    const message = `the mesh's trust domain is ${configured}, but the CA signs for ${trustDomain}: calls between sidecars will be refused`;
    const mend = `set trustDomain to ${trustDomain}, or start the CA with SELVAGE_TRUST_DOMAIN=${configured}`;
    const at = mesh.meshConfigs.at(-1);
    const finding = { severity: 'error', code: 'trust-domain-differs', message, mend } as const;
    problems.push(
      at === undefined ? finding : problemAt(at, { ...finding, path: 'spec.trustDomain' }),
    );
  }
  return problems;
}
