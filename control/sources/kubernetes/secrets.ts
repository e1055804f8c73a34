// Secrets that policies name, watched one by one: control has a right to those, each given by its owner, and to no others.
import type { AnyResource } from '#api/load.ts';

import type { Collection } from './collection.ts';

export interface SecretsOptions {
  /** `namespace/name` of those that are named now. */
  readonly wanted: (resources: readonly AnyResource[]) => ReadonlySet<string>;
  readonly open: (namespace: string, name: string) => Collection;
  readonly close: (collection: Collection) => void;
  /** How long new ones are waited for. */
  readonly waitMaxMs: number;
}

export class Secrets {
  readonly #options: SecretsOptions;
  readonly #open = new Map<string, Collection>();

  constructor(options: SecretsOptions) {
    this.#options = options;
  }

  get collections(): Iterable<Collection> {
    return this.#open.values();
  }

  /**
   * Begins to watch those that are named now, and lets go of others.
   * @returns null: there is no new one; else resolves when all of them were read, or have been waited for
   */
  follow(resources: readonly AnyResource[]): Promise<void> | null {
    const begun: Promise<void>[] = [];
    const wanted = this.#options.wanted(resources);
    for (const [key, collection] of this.#open) {
      if (wanted.has(key)) continue;
      this.#options.close(collection);
      this.#open.delete(key);
    }
    for (const key of wanted) {
      if (this.#open.has(key)) continue;
      const [namespace = '', name = ''] = key.split('/');
      const collection = this.#options.open(namespace, name);
      this.#open.set(key, collection);
      begun.push(collection.start().catch(() => undefined));
    }
    return begun.length === 0 ? null : settled(Promise.all(begun), this.#options.waitMaxMs);
  }

  stop(): void {
    for (const collection of this.#open.values()) this.#options.close(collection);
    this.#open.clear();
  }
}

/** Without a right to it a Secret is never read: the others must not wait for it. */
async function settled(all: Promise<unknown>, waitMaxMs: number): Promise<void> {
  const { promise: late, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, waitMaxMs);
  await Promise.race([all, late]);
  clearTimeout(timer);
}
