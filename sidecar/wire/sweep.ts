// Coarse deadlines for many connections: one timer looks at them all, none is armed per request.

const tickMs = 250;

export interface Sweepable {
  /** Sweep clock, ms; 0: none. */
  deadlineMs: number;
  /** The deadline has passed; `deadlineMs` is 0 again. */
  expire(): void;
}

const watched = new Set<Sweepable>();
let timer: NodeJS.Timeout | null = null;
let nowMs = performance.now();

/** A deadline that falls due `afterMs` to `afterMs` + two ticks from now; 0 stays "none". */
export function deadlineIn(afterMs: number): number {
  return afterMs === 0 ? 0 : nowMs + afterMs + tickMs;
}

/** The sweep clock: performance.now() as of the last tick. */
export function sweepNowMs(): number {
  return nowMs;
}

export function watch(item: Sweepable): void {
  watched.add(item);
  if (timer !== null) return;
  nowMs = performance.now();
  timer = setInterval(sweep, tickMs);
  timer.unref();
}

export function unwatch(item: Sweepable): void {
  watched.delete(item);
}

function sweep(): void {
  nowMs = performance.now();
  for (const item of watched) {
    if (item.deadlineMs === 0 || item.deadlineMs > nowMs) continue;
    item.deadlineMs = 0;
    item.expire();
  }
  if (watched.size > 0 || timer === null) return;
  clearInterval(timer);
  timer = null;
}
