// Wall-clock times from performance.now(), and their text, at next to no cost.

const resyncMs = 1000;

/** Follows the system clock: the difference to the monotonic clock is taken anew each second. */
export class WallClock {
  private offsetMs = Date.now() - performance.now();
  private syncedAtMs = performance.now();
  private second = -1;
  private secondText = '';
  private millisecond = -1;
  private millisecondText = '';

  /** @param atMs performance.now(). Returns milliseconds since 1970, whole. */
  epochMs(atMs: number): number {
    return Math.floor(this.offsetAt(atMs) + atMs);
  }

  /** What is to be added to performance.now() for milliseconds since 1970. @param atMs performance.now() */
  offsetAt(atMs: number): number {
    const age = atMs - this.syncedAtMs;
    if (age > resyncMs || age < -resyncMs) {
      this.syncedAtMs = performance.now();
      this.offsetMs = Date.now() - this.syncedAtMs;
    }
    return this.offsetMs;
  }

  /** `2026-01-31T12:00:00.123Z`; only the milliseconds are made anew within a second. */
  text(atMs: number): string {
    const epochMs = this.epochMs(atMs);
    if (epochMs === this.millisecond) return this.millisecondText;
    this.millisecond = epochMs;
    this.millisecondText = this.make(epochMs);
    return this.millisecondText;
  }

  private make(epochMs: number): string {
    const second = Math.floor(epochMs / 1000);
    if (second !== this.second) {
      this.second = second;
      this.secondText = new Date(second * 1000).toISOString().slice(0, 20);
    }
    return this.secondText + (milliseconds[epochMs - second * 1000] ?? '000Z');
  }
}

const milliseconds = Array.from({ length: 1000 }, (_, i) => `${String(i).padStart(3, '0')}Z`);
