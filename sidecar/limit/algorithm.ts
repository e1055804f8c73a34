// What every algorithm of a limit does with the cells of one key. Numbers only: nothing is allocated.

/** Counts are fractions in places; so much more than a whole request is still one. */
export const slack = 1e-6;

/** What the last `take` found; one object for all, to be read at once. */
export interface Taken {
  /** Requests that would still be admitted now. */
  remaining: number;
  /** Until all of the limit is there again. */
  resetMs: number;
  /** Refused: until a request is admitted again, if nobody else asks. */
  retryMs: number;
  /** Admitted: how long it has to wait for its turn. */
  delayMs: number;
}

export const taken: Taken = { remaining: 0, resetMs: 0, retryMs: 0, delayMs: 0 };

/**
 * Cells of zeros are those of a key that was never seen. Times are milliseconds since 1970 and may stand still or step
 * back, which admits nothing more.
 */
export interface Algorithm {
  /** Cells of a key. */
  readonly stride: number;
  /** What `RateLimit-Policy` says: so many requests … */
  readonly quota: number;
  /** … in each so many seconds; 0: at once. */
  readonly windowSeconds: number;
  /** Counts a request if there is room for it, and fills `taken`. */
  take(cells: Float64Array, at: number, nowMs: number): boolean;
  /** Takes back what `take` counted at that time: the request was refused for another reason, or is over. */
  refund(cells: Float64Array, at: number, takenAtMs: number): void;
  /** A key that is forgotten now is treated as if it were not. */
  idle(cells: Float64Array, at: number, nowMs: number): boolean;
  /** A key must not be forgotten now, since something of it will be taken back. */
  pinned(cells: Float64Array, at: number): boolean;
}

/** Of most algorithms: forgetting is a loss, and no fault. */
export function neverPinned(): boolean {
  return false;
}
