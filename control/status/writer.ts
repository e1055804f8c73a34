// Writes statuses: a few in a second, over nobody's else change, and not again where the API server will not have them.
import { setTimeout as pass } from 'node:timers/promises';

import { KubeError, type KubeClient } from '#runtime/kubernetes/client.ts';
import { missingRule } from '#runtime/kubernetes/collection-path.ts';
import type { Log } from '#runtime/log.ts';

import type { StatusTarget } from './collections.ts';
import type { ResourceStatus } from './conditions.ts';
import type { RouteStatus } from './route-parents.ts';

export interface StatusWrite {
  readonly target: StatusTarget;
  readonly status: ResourceStatus | RouteStatus;
}

/** 10 in a second: a status informs, and the API server has more to do. */
const gapMs = 100;
/** A collection that takes no status is left alone for so long. */
const refusedMs = 5 * 60_000;

export class StatusWriter {
  readonly #client: KubeClient;
  readonly #log: Log;
  /** The version that was written over, by resource: until the watch brings the next there is nothing to compare with. */
  readonly #writtenOver = new Map<string, string>();
  readonly #refusedUntilMs = new Map<string, number>();
  #nextAtMs = 0;

  constructor(client: KubeClient, log: Log) {
    this.#client = client;
    this.#log = log;
  }

  /** Whether what we know of the resource is older than what we wrote, or its kind takes no status. */
  mustWait(target: StatusTarget): boolean {
    const { resourceVersion } = target.object.metadata;
    return (
      this.#writtenOver.get(pathOf(target)) === resourceVersion ||
      (this.#refusedUntilMs.get(target.collection) ?? 0) > performance.now()
    );
  }

  /** Waits for its turn and writes. False: not written; where it is still wanted it will be tried again. Never rejects. */
  async write({ target, status }: StatusWrite): Promise<boolean> {
    const waitMs = this.#nextAtMs - performance.now();
    if (waitMs > 0) await pass(waitMs, undefined, { ref: false });
    this.#nextAtMs = performance.now() + gapMs;
    const { resourceVersion = '' } = target.object.metadata;
    const path = pathOf(target);
    try {
      // The list of conditions is replaced as a whole: with the version it is nobody's newer list.
      const patch = { metadata: { resourceVersion }, status };
      await this.#client.patch(`${path}/status`, patch, 'merge');
      this.#writtenOver.set(path, resourceVersion);
      return true;
    } catch (error) {
      this.#take(error, target);
      return false;
    }
  }

  /** Forgets resources that are gone. */
  keepOnly(targets: readonly StatusTarget[]): void {
    const paths = new Set(targets.map(pathOf));
    for (const path of this.#writtenOver.keys()) {
      if (!paths.has(path)) this.#writtenOver.delete(path);
    }
  }

  #take(error: unknown, target: StatusTarget): void {
    const { collection, object } = target;
    const status = error instanceof KubeError ? error.status : 0;
    const { namespace, name } = object.metadata;
    // Another wrote meanwhile, or deleted it, and the watch tells what.
    const noPath = status === 404 && /could not find the requested resource/.test(String(error));
    if (status === 409 || (status === 404 && !noPath)) return;
    if (status === 403 || noPath) {
      this.#refusedUntilMs.set(collection, performance.now() + refusedMs);
      const mend = noPath
        ? 'give its CRD the subresource `status`'
        : missingRule(`${collection}/status`, ['patch']);
      this.#log.warn({ error, mend }, `no status can be written at ${collection}`);
      return;
    }
    this.#log.warn({ namespace, name, error }, `a status could not be written at ${collection}`);
  }
}

function pathOf({ collection, object }: StatusTarget): string {
  const { namespace = '', name } = object.metadata;
  const cut = collection.lastIndexOf('/');
  return `${collection.slice(0, cut)}/namespaces/${namespace}${collection.slice(cut)}/${name}`;
}
