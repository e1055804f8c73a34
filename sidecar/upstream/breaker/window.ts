// Counts of the last ten seconds by cell, in memory that does not grow: a slot for each second, and their sum.

const slots = 10;
const slotMs = 1000;

export class CountWindow {
  /** Of all slots, by cell. */
  readonly total: Uint32Array;
  readonly #counts: Uint32Array;
  readonly #cells: number;
  /** The second that the newest slot is for. */
  #second = -1;

  constructor(cells: number) {
    this.#cells = cells;
    this.total = new Uint32Array(cells);
    this.#counts = new Uint32Array(cells * slots);
  }

  add(cell: number, nowMs: number): void {
    this.advance(nowMs);
    const at = (this.#second % slots) * this.#cells + cell;
    this.#counts[at] = this.#counts[at]! + 1;
    this.total[cell] = this.total[cell]! + 1;
  }

  /** Forgets what is older than the window. */
  advance(nowMs: number): void {
    const second = Math.floor(nowMs / slotMs);
    const passed = second - this.#second;
    if (passed <= 0) return;
    if (this.#second < 0 || passed >= slots) this.clear();
    else for (let i = 1; i <= passed; i += 1) this.#clearSlot((this.#second + i) % slots);
    this.#second = second;
  }

  clear(): void {
    this.total.fill(0);
    this.#counts.fill(0);
  }

  #clearSlot(slot: number): void {
    const first = slot * this.#cells;
    const { total } = this;
    for (let cell = 0; cell < this.#cells; cell += 1) {
      total[cell] = total[cell]! - this.#counts[first + cell]!;
      this.#counts[first + cell] = 0;
    }
  }
}
