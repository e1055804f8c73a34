// The periods that counts begin anew with: multiples of a time, or those of the calendar (UTC).

/** The period that a time is in, kept until a time of another one is asked for. */
export interface Periods {
  startMs: number;
  endMs: number;
  /** Brings `startMs` and `endMs` to the period of a time. */
  seek(nowMs: number): void;
}

export type CalendarUnit = 'day' | 'week' | 'month' | 'year';

const dayMs = 86_400_000;
/** 5 January 1970 was a Monday. */
const mondayMs = 4 * dayMs;

/** Multiples of a length since 1970. */
export class EvenPeriods implements Periods {
  startMs = 0;
  endMs = 0;
  readonly #lengthMs: number;

  constructor(lengthMs: number) {
    this.#lengthMs = lengthMs;
  }

  seek(nowMs: number): void {
    if (nowMs >= this.startMs && nowMs < this.endMs) return;
    this.startMs = Math.floor(nowMs / this.#lengthMs) * this.#lengthMs;
    this.endMs = this.startMs + this.#lengthMs;
  }
}

/** Dates are made only when a period begins. */
export class CalendarPeriods implements Periods {
  startMs = 0;
  endMs = 0;
  readonly #unit: CalendarUnit;

  constructor(unit: CalendarUnit) {
    this.#unit = unit;
  }

  seek(nowMs: number): void {
    if (nowMs >= this.startMs && nowMs < this.endMs) return;
    this.startMs = startOf(this.#unit, nowMs);
    this.endMs = endOf(this.#unit, this.startMs);
  }
}

function startOf(unit: CalendarUnit, nowMs: number): number {
  const date = new Date(nowMs);
  switch (unit) {
    case 'day':
      return Math.floor(nowMs / dayMs) * dayMs;
    case 'week':
      return Math.floor((nowMs - mondayMs) / (7 * dayMs)) * 7 * dayMs + mondayMs;
    case 'month':
      return Date.UTC(date.getUTCFullYear(), date.getUTCMonth());
    default:
      return Date.UTC(date.getUTCFullYear(), 0);
  }
}

function endOf(unit: CalendarUnit, startMs: number): number {
  const date = new Date(startMs);
  switch (unit) {
    case 'day':
      return startMs + dayMs;
    case 'week':
      return startMs + 7 * dayMs;
    case 'month':
      return Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + 1);
    default:
      return Date.UTC(date.getUTCFullYear() + 1, 0);
  }
}
