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
    this.endMs = startOf(this.#unit, this.startMs, 1);
  }
}

/** When a unit begins: the one that a time is in, or one so many later. */
function startOf(unit: CalendarUnit, ms: number, later = 0): number {
  const date = new Date(ms);
  switch (unit) {
    case 'day':
      return (Math.floor(ms / dayMs) + later) * dayMs;
    case 'week':
      return (Math.floor((ms - mondayMs) / (7 * dayMs)) + later) * 7 * dayMs + mondayMs;
    case 'month':
      return Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + later);
    default:
      return Date.UTC(date.getUTCFullYear() + later, 0);
  }
}
