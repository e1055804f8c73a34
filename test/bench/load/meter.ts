// Counts what a load process gets, and tells its connections when to send.
import type { LoadResult } from './options.ts';

const buckets = 40_000;
const bucketMs = 0.05;

/** @param atMs when the call was due, by performance.now(): its latency counts from there */
type Send = (atMs: number) => void;

export class Meter {
  over = false;
  #measuring = false;
  #count = 0;
  #calls = 0;
  #failures = 0;
  #reason = '';
  #startedAtMs = 0;
  readonly #histogram = new Uint32Array(buckets);
  readonly #perSecond: number | null;
  /** Connections that have nothing to do, with a rate given. */
  readonly #idle: Send[] = [];
  #issued = 0;
  #pacedSinceMs = 0;

  constructor(perSecond: number | null) {
    this.#perSecond = perSecond;
    if (perSecond !== null) setInterval(() => this.#pace(perSecond), 1);
  }

  /** A connection can take the next call: it is told to send it at once, or when it is due. */
  ready(send: Send): void {
    if (this.over) return;
    if (this.#perSecond === null) send(performance.now());
    else this.#idle.push(send);
  }

  done(sentAtMs: number, amount: number): void {
    if (!this.#measuring || this.over) return;
    this.#count += amount;
    this.#calls += 1;
    const bucket = Math.floor((performance.now() - sentAtMs) / bucketMs);
    const at = Math.min(bucket, buckets - 1);
    this.#histogram[at] = (this.#histogram[at] ?? 0) + 1;
  }

  fail(reason: string): void {
    if (this.over) return;
    if (this.#reason === '') this.#reason = reason;
    if (this.#measuring) this.#failures += 1;
  }

  begin(): void {
    this.#measuring = true;
    this.#startedAtMs = performance.now();
  }

  end(): LoadResult {
    this.over = true;
    return {
      count: this.#count,
      failures: this.#failures,
      reason: this.#reason,
      p50Ms: this.#quantile(0.5),
      p99Ms: this.#quantile(0.99),
      seconds: (performance.now() - this.#startedAtMs) / 1000,
    };
  }

  /** A call that finds no connection idle waits, and its wait counts: a slow proxy cannot hide it. */
  #pace(perSecond: number): void {
    if (this.#pacedSinceMs === 0) {
      if (this.#idle.length === 0) return;
      this.#pacedSinceMs = performance.now();
    }
    const due = ((performance.now() - this.#pacedSinceMs) / 1000) * perSecond;
    while (this.#issued < due) {
      const send = this.#idle.shift();
      if (send === undefined) return;
      send(this.#pacedSinceMs + (this.#issued / perSecond) * 1000);
      this.#issued += 1;
    }
  }

  #quantile(q: number): number {
    let seen = 0;
    for (let i = 0; i < buckets; i += 1) {
      seen += this.#histogram[i] ?? 0;
      if (seen > 0 && seen >= this.#calls * q) return (i + 1) * bucketMs;
    }
    return Number.NaN;
  }
}
