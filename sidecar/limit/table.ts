// Cells of a bounded number of keys, in memory that all worker threads of the process share.
import { getRandomValues } from 'node:crypto';

import type { Algorithm } from './algorithm.ts';

/** Keys that have the same place share it with so many others. */
const waysMax = 8;
/** Lock and secret of the hash, in 32-bit words; the rest begins at a multiple of 8 bytes. */
const headWords = 4;
/** A thread that was ended while it held the lock will not give it back. */
const spinsMax = 5_000_000;

/**
 * Set-associative: a key has a place of eight, by its hash. When all eight are taken, the one that was unused for longest
 * goes, first of all one that makes no difference any more. The error: a key that went begins anew, so whoever can use
 * more than the table's number of keys, and leaves one alone meanwhile, has its limit once more. A key in use stays.
 */
export class KeyTable {
  /** For other threads. */
  readonly buffer: SharedArrayBuffer;
  /** All cells; `find` says where a key's begin. */
  readonly cells: Float64Array;
  /** Keys that were forgotten while they still counted, as far as this thread did it. */
  evicted = 0;
  readonly secret0: number;
  readonly secret1: number;
  readonly #algorithm: Algorithm;
  readonly #ways: number;
  readonly #mask: number;
  readonly #lock: Int32Array;
  readonly #hashes: Uint32Array;
  readonly #usedMs: Float64Array;

  /** @param keys at least so many places; 1 for a limit without a key */
  constructor(keys: number, algorithm: Algorithm, buffer?: SharedArrayBuffer) {
    const ways = keys === 1 ? 1 : waysMax;
    const sets = 2 ** Math.ceil(Math.log2(Math.max(1, keys / ways)));
    const places = ways * sets;
    const { stride } = algorithm;
    const timesAt = 4 * headWords + 8 * places;
    const cellsAt = timesAt + 8 * places;
    this.buffer = buffer ?? new SharedArrayBuffer(cellsAt + 8 * stride * places);
    this.#lock = new Int32Array(this.buffer, 0, headWords);
    if (buffer === undefined) this.#lock.set(getRandomValues(new Int32Array(2)), 1);
    this.secret0 = this.#lock[1] ?? 0;
    this.secret1 = this.#lock[2] ?? 0;
    this.#hashes = new Uint32Array(this.buffer, 4 * headWords, 2 * places);
    this.#usedMs = new Float64Array(this.buffer, timesAt, places);
    this.cells = new Float64Array(this.buffer, cellsAt, stride * places);
    this.#algorithm = algorithm;
    this.#ways = ways;
    this.#mask = sets - 1;
  }

  /** Between `lock` and `unlock` no other thread reads or writes; nothing there may throw or wait. */
  lock(): void {
    let spins = 0;
    while (Atomics.compareExchange(this.#lock, 0, 0, 1) !== 0) {
      spins += 1;
      if (spins > spinsMax) return;
    }
  }

  unlock(): void {
    Atomics.store(this.#lock, 0, 0);
  }

  /** Where the cells of a key begin, -1 when it has none. The words are not both 0. */
  known(word0: number, word1: number): number {
    const first = (word0 & this.#mask) * this.#ways;
    const hashes = this.#hashes;
    for (let place = first; place < first + this.#ways; place++) {
      if (hashes[2 * place] === word0 && hashes[2 * place + 1] === word1) {
        return place * this.#algorithm.stride;
      }
    }
    return -1;
  }

  /** As `known`, with a place made where there was none; -1 when no place can be made. */
  find(word0: number, word1: number, nowMs: number): number {
    const { stride } = this.#algorithm;
    const at = this.known(word0, word1);
    const place = at === -1 ? this.#makePlace(word0, nowMs) : at / stride;
    if (place === -1) return -1;
    if (at === -1) {
      this.#hashes[2 * place] = word0;
      this.#hashes[2 * place + 1] = word1;
    }
    this.#usedMs[place] = nowMs;
    return place * stride;
  }

  /** Keys that count at this moment. Not exact while other threads count: nobody is made to wait for it. */
  used(nowMs: number): number {
    const { stride } = this.#algorithm;
    let used = 0;
    for (let place = 0; place < this.#usedMs.length; place++) {
      if (!this.#isEmpty(place) && !this.#algorithm.idle(this.cells, place * stride, nowMs)) used++;
    }
    return used;
  }

  /** An empty place, else one that counts for nothing, else the one unused for longest. */
  #makePlace(word0: number, nowMs: number): number {
    const algorithm = this.#algorithm;
    const { cells } = this;
    const first = (word0 & this.#mask) * this.#ways;
    let oldest = -1;
    let oldestMs = Infinity;
    for (let place = first; place < first + this.#ways; place++) {
      const at = place * algorithm.stride;
      if (this.#isEmpty(place)) return place;
      if (algorithm.pinned(cells, at)) continue;
      if (algorithm.idle(cells, at, nowMs)) return this.#clear(place);
      const usedMs = this.#usedMs[place] ?? 0;
      if (usedMs >= oldestMs) continue;
      oldest = place;
      oldestMs = usedMs;
    }
    if (oldest === -1) return -1;
    this.evicted += 1;
    return this.#clear(oldest);
  }

  #isEmpty(place: number): boolean {
    return this.#hashes[2 * place] === 0 && this.#hashes[2 * place + 1] === 0;
  }

  #clear(place: number): number {
    const { stride } = this.#algorithm;
    this.cells.fill(0, place * stride, (place + 1) * stride);
    return place;
  }
}
