// One collection of the API server as resources: each object is read once for each of its versions.
import { isDeepStrictEqual } from 'node:util';

import type { AnyResource, Loaded } from '#api/load.ts';
import { clusterOrigin } from '#api/origin.ts';
import type { Problem } from '#api/problem.ts';
import { readResource } from '#api/read-resource.ts';
import type { KubeClient, KubeObject, Query } from '#runtime/kubernetes/client.ts';
import { Reflector } from '#runtime/kubernetes/reflector.ts';
import type { Log } from '#runtime/log.ts';

import { keepLastGoodObject } from '../last-good.ts';

export interface CollectionOptions {
  readonly client: KubeClient;
  readonly path: string;
  readonly query?: Query;
  readonly slim: (object: KubeObject) => KubeObject;
  readonly onChange: () => void;
  readonly log: Log;
}

interface Known extends Loaded {
  readonly object: KubeObject;
}

/** A collection that does not exist, or not any more, is asked for this often. */
const missingEveryMs = 5000;

export class Collection {
  readonly path: string;
  readonly #reflector: Reflector;
  #known: ReadonlyMap<string, Known> = new Map();
  #dirty = false;
  #resources: readonly AnyResource[] = [];
  #problems: readonly Problem[] = [];

  constructor({ client, path, query, slim, onChange, log }: CollectionOptions) {
    this.path = path;
    this.#reflector = new Reflector({
      client,
      path,
      ...(query === undefined ? {} : { query }),
      slim,
      onChange: () => {
        this.#dirty = true;
        onChange();
      },
      log,
      timing: { missingEveryMs },
    });
  }

  /** Resolves when the first list is whole; rejects only when stopped before. */
  start(): Promise<void> {
    return this.#reflector.start();
  }

  stop(): void {
    this.#reflector.stop();
  }

  /** Oldest first. */
  get resources(): readonly AnyResource[] {
    return this.#resources;
  }

  get problems(): readonly Problem[] {
    return this.#problems;
  }

  /** Takes what changed since the last call. True: something that counts is different. */
  refresh(): boolean {
    if (!this.#dirty) return false;
    this.#dirty = false;
    const before = this.#known;
    const next = new Map<string, Known>();
    let changed = false;
    for (const [key, object] of this.#reflector.objects) {
      const old = before.get(key);
      const known = old !== undefined && isSame(old.object, object) ? old : readObject(object, old);
      next.set(key, known);
      if (known.resources !== old?.resources || known.problems !== old.problems) changed = true;
    }
    changed ||= [...before.keys()].some((key) => !next.has(key));
    this.#known = next;
    if (!changed) return false;
    const all = [...next.values()];
    this.#resources = all.flatMap(({ resources }) => resources).toSorted(byAge);
    this.#problems = all.flatMap(({ problems }) => problems);
    return true;
  }
}

/** A new list has all objects anew, most of them as they were. */
function isSame(a: KubeObject, b: KubeObject): boolean {
  if (a === b) return true;
  const version = a.metadata.resourceVersion;
  return (
    version !== undefined &&
    version === b.metadata.resourceVersion &&
    a.metadata.uid === b.metadata.uid
  );
}

function readObject(object: KubeObject, old: Known | undefined): Known {
  if (old !== undefined && isDeepStrictEqual(contentOf(old.object), contentOf(object))) {
    // Only its status changed, or something else that is not kept.
    return { ...old, object };
  }
  const { kind = '', metadata } = object;
  const { name, namespace = '' } = metadata;
  const origin = clusterOrigin({ kind, metadata: { name, namespace } });
  const read = readResource({ value: object, origin });
  // What was deleted and made again has no better days to go back to.
  const before = old?.object.metadata.uid === metadata.uid ? (old?.resources[0] ?? null) : null;
  return { object, ...keepLastGoodObject(before, read) };
}

function contentOf({ metadata, ...content }: KubeObject): object {
  const { resourceVersion: _, ...rest } = metadata;
  return { rest, content };
}

function byAge(a: AnyResource, b: AnyResource): number {
  const [left, right] = [a.metadata, b.metadata];
  return (
    compare(left.creationTimestamp ?? '', right.creationTimestamp ?? '') ||
    compare(left.namespace, right.namespace) ||
    compare(left.name, right.name)
  );
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
