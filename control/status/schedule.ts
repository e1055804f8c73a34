// Which statuses are due: what people wait for at once, numbers that only move on now and then, and no flicker.
import type { Difference } from './conditions.ts';

export interface ScheduleTiming {
  /** A message alone is written at most this often for one resource: pods come and go all day. */
  readonly messageEveryMs: number;
  /** So long a resource may be enforced by fewer than all, after it was by all, before that is written: replicas restart. */
  readonly setbackGraceMs: number;
  /** What is said of a generation that is not in force may be about the one before, until control has read it. */
  readonly doubtMs: number;
}

export interface Candidate {
  readonly key: string;
  readonly generation: number;
  readonly difference: Difference;
  /** It was enforced by all, in this same generation, and is not now. */
  readonly setback: boolean;
  /** Control does not go by this generation: not yet, or never. */
  readonly doubtful: boolean;
}

interface Known {
  readonly generation: number;
  readonly seenAtMs: number;
  writtenAtMs: number;
  setbackSinceMs: number | null;
}

export class Schedule {
  readonly #timing: ScheduleTiming;
  readonly #known = new Map<string, Known>();

  constructor(timing: ScheduleTiming) {
    this.#timing = timing;
  }

  /** Whether to write now. @param nowMs on any clock that only goes forward */
  isDue(candidate: Candidate, nowMs: number): boolean {
    const { key, generation, difference, setback, doubtful } = candidate;
    let known = this.#known.get(key);
    if (known?.generation !== generation) {
      const writtenAtMs = Number.NEGATIVE_INFINITY;
      known = { generation, seenAtMs: nowMs, writtenAtMs, setbackSinceMs: null };
      this.#known.set(key, known);
    }
    if (!setback) known.setbackSinceMs = null;
    else known.setbackSinceMs ??= nowMs;
    if (difference === 'none') return false;
    if (doubtful && nowMs - known.seenAtMs < this.#timing.doubtMs) return false;
    if (known.setbackSinceMs !== null) {
      return nowMs - known.setbackSinceMs >= this.#timing.setbackGraceMs;
    }
    return difference === 'status' || nowMs - known.writtenAtMs >= this.#timing.messageEveryMs;
  }

  written(key: string, nowMs: number): void {
    const known = this.#known.get(key);
    if (known !== undefined) known.writtenAtMs = nowMs;
  }

  /** Forgets resources that are gone. */
  keepOnly(keys: ReadonlySet<string>): void {
    for (const key of this.#known.keys()) if (!keys.has(key)) this.#known.delete(key);
  }
}
