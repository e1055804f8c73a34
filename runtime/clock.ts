// Time as a dependency, so that tests can run hours in a moment.

export interface Timer {
  cancel(): void;
}

export interface Clock {
  /** Wall clock, ms since 1970. */
  now(): number;
  /** Calls once after `delayMs`; the timer alone does not keep the process alive. */
  after(delayMs: number, call: () => void): Timer;
}

/** setTimeout takes at most 2^31 - 1 ms and fires at once above it. */
const timerMsMax = 2_147_483_647;

/** The clock of the machine. */
export const systemClock: Clock = {
  now: () => Date.now(),
  after(delayMs, call) {
    const timeout = setTimeout(call, Math.min(Math.max(delayMs, 0), timerMsMax));
    timeout.unref();
    return { cancel: () => clearTimeout(timeout) };
  },
};
