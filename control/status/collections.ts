// The resources that get a status, with the status that they have: watched by the replica that leads, and by it alone.
import { kinds, type KindEntry } from '#api/kinds/table.ts';
import type { KubeClient, KubeObject } from '#runtime/kubernetes/client.ts';
import { Reflector } from '#runtime/kubernetes/reflector.ts';
import type { Log } from '#runtime/log.ts';

import { servedPath } from '../sources/kubernetes/served.ts';

export interface StatusTarget {
  readonly kind: string;
  /** Its status is conditions for each parent. */
  readonly byParent: boolean;
  /** Of its collection, in all namespaces. */
  readonly collection: string;
  readonly object: KubeObject;
}

interface Watched {
  readonly path: string;
  readonly reflector: Reflector;
}

/** Those of our table that are CRDs and have a status. */
const statusKinds = [...kinds.values()].filter(
  ({ complete, status }) => complete && status !== 'none',
);
/** A CRD may be installed later, or be served in another version. */
const lookEveryMs = 30_000;

export class StatusCollections {
  readonly #client: KubeClient;
  readonly #log: Log;
  readonly #onChange: () => void;
  readonly #watched = new Map<KindEntry, Watched>();
  #timer: NodeJS.Timeout | null = null;
  #stopped = false;

  constructor(client: KubeClient, log: Log, onChange: () => void) {
    this.#client = client;
    this.#log = log;
    this.#onChange = onChange;
  }

  start(): void {
    void this.#look();
  }

  stop(): void {
    this.#stopped = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    for (const { reflector } of this.#watched.values()) reflector.stop();
  }

  *targets(): Generator<StatusTarget> {
    for (const [{ kind, status }, { path: collection, reflector }] of this.#watched) {
      const byParent = status === 'route-parents';
      for (const object of reflector.objects.values()) yield { kind, byParent, collection, object };
    }
  }

  async #look(): Promise<void> {
    await Promise.all(statusKinds.map((entry) => this.#lookFor(entry)));
    if (this.#stopped) return;
    this.#timer = setTimeout(() => void this.#look(), lookEveryMs);
    this.#timer.unref();
  }

  async #lookFor(entry: KindEntry): Promise<void> {
    const path = await servedPath(this.#client, entry).catch(() => null);
    const present = this.#watched.get(entry);
    if (path === null || path === present?.path || this.#stopped) return;
    present?.reflector.stop();
    const reflector = new Reflector({
      client: this.#client,
      path,
      onChange: this.#onChange,
      slim: entry.status === 'route-parents' ? statusAndParents : statusOnly,
      log: this.#log,
    });
    this.#watched.set(entry, { path, reflector });
    reflector.start().catch(() => undefined);
  }
}

/** The rest is in the source's memory already. */
function statusOnly({ metadata, status }: KubeObject): KubeObject {
  const { name, namespace, resourceVersion, generation, uid } = metadata;
  return { metadata: { name, namespace, resourceVersion, generation, uid }, status };
}

/** Its parents are repeated in its status as they are written. */
function statusAndParents(object: KubeObject): KubeObject {
  const { parentRefs } = (object['spec'] ?? {}) as { parentRefs?: unknown };
  return { ...statusOnly(object), spec: { parentRefs } };
}
