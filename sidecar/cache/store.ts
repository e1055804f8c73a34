// What a cache keeps: answers by target and variant, bounded by bytes; of more, what was unused for longest goes.
import type { StoredHead } from '../stored-head.ts';
import type { Life } from './freshness.ts';

export interface Entry {
  readonly head: StoredHead;
  readonly body: Buffer;
  readonly life: Life;
  /** Date.now() when a call was last sent on to ask for it anew; 0: none was. */
  askedAtMs: number;
}

/** Answers of one target. All vary by the same headers: those of the last one. */
interface Target {
  readonly vary: readonly string[];
  readonly keys: Set<string>;
}

interface Kept {
  readonly target: string;
  readonly entry: Entry;
  readonly bytes: number;
}

/** For maps, objects and strings around an entry. */
const overheadBytes = 600;

export class ResponseStore {
  readonly #bytesMax: number;
  readonly #targets = new Map<string, Target>();
  /** Least recently used first. */
  readonly #kept = new Map<string, Kept>();
  #bytes = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get size(): number {
    return this.#kept.size;
  }

  /** @param variantOf makes the key of a variant of the values of some headers */
  find(target: string, variantOf: (vary: readonly string[]) => string): Entry | 'vary' | null {
    const known = this.#targets.get(target);
    if (known === undefined) return null;
    const key = keyOf(target, variantOf(known.vary));
    const kept = this.#kept.get(key);
    if (kept === undefined) return 'vary';
    this.#kept.delete(key);
    this.#kept.set(key, kept);
    return kept.entry;
  }

  /** @returns whether there is room for it at all */
  put(
    target: string,
    vary: readonly string[],
    variantOf: (vary: readonly string[]) => string,
    entry: Entry,
  ): boolean {
    const key = keyOf(target, variantOf(vary));
    const bytes =
      2 * (key.length + target.length) + entry.head.bytes + entry.body.length + overheadBytes;
    if (!isSame(this.#targets.get(target)?.vary, vary)) this.remove(target);
    else this.#drop(key);
    if (bytes > this.#bytesMax) return false;
    const known = this.#targets.get(target) ?? { vary, keys: new Set<string>() };
    this.#targets.set(target, known);
    known.keys.add(key);
    this.#kept.set(key, { target, entry, bytes });
    this.#bytes += bytes;
    for (const oldest of this.#kept.keys()) {
      if (this.#bytes <= this.#bytesMax) break;
      this.#drop(oldest);
    }
    return true;
  }

  /** All variants of a target. */
  remove(target: string): void {
    for (const key of this.#targets.get(target)?.keys ?? []) this.#drop(key);
  }

  #drop(key: string): void {
    const kept = this.#kept.get(key);
    if (kept === undefined) return;
    this.#kept.delete(key);
    this.#bytes -= kept.bytes;
    const target = this.#targets.get(kept.target);
    target?.keys.delete(key);
    if (target?.keys.size === 0) this.#targets.delete(kept.target);
  }
}

/** The length makes it one to one, whatever is in either part. */
function keyOf(target: string, variant: string): string {
  return `${target.length} ${target} ${variant}`;
}

function isSame(a: readonly string[] | undefined, b: readonly string[]): boolean {
  return a !== undefined && a.length === b.length && a.every((name, i) => name === b[i]);
}
