// Counts what a peer can send for nothing: a bucket for each kind, refilled by time and by honest work.
import type { Http2Limits } from './limits.ts';

class Bucket {
  private left: number;
  private readonly burst: number;
  private readonly perMs: number;
  private atMs = performance.now();

  constructor(burst: number, perSecond: number) {
    this.left = burst;
    this.burst = burst;
    this.perMs = perSecond / 1000;
  }

  /** @returns false: there was none left */
  take(): boolean {
    if (this.left < 1) {
      const nowMs = performance.now();
      this.left = Math.min(this.burst, this.left + (nowMs - this.atMs) * this.perMs);
      this.atMs = nowMs;
      if (this.left < 1) return false;
    }
    this.left -= 1;
    return true;
  }

  give(count: number): void {
    this.left = Math.min(this.burst, this.left + count);
  }
}

/** For each stream that is opened: browsers set and change priorities. */
const controlsPerStream = 4;
/** As Envoy's max_inbound_window_update_frames_per_data_frame_sent. */
const updatesPerData = 10;

export class FloodGuard {
  private readonly resets: Bucket;
  private readonly controls: Bucket;
  private readonly updates: Bucket;

  constructor(limits: Readonly<Http2Limits>) {
    this.resets = new Bucket(limits.resetsBurst, limits.resetsPerSecond);
    this.controls = new Bucket(limits.controlsBurst, limits.controlsPerSecond);
    this.updates = new Bucket(limits.windowUpdatesBurst, limits.controlsPerSecond);
  }

  /** The peer gave up a stream before it was answered (CVE-2023-44487), or made us do so. */
  reset(): boolean {
    return this.resets.take();
  }

  /** A frame that carries nothing. */
  control(): boolean {
    return this.controls.take();
  }

  windowUpdate(): boolean {
    return this.updates.take();
  }

  /** We sent DATA, so the peer has windows to open. */
  sent(): void {
    this.updates.give(updatesPerData);
  }

  opened(): void {
    this.controls.give(controlsPerStream);
    this.updates.give(controlsPerStream);
  }
}
