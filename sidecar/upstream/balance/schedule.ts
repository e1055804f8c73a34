// Weighted turns: each index comes as often as its weight says, evenly spread (earliest deadline first).

/** A heap of indices by when their next turn is due. */
export class Schedule {
  readonly #due: Float64Array;
  readonly #period: Float64Array;
  readonly #heap: Uint32Array;

  /**
   * @param weights at least one, all over 0
   * @param random where each begins within its period, so that sidecars do not march in step
   */
  constructor(weights: readonly number[], random: () => number) {
    this.#period = Float64Array.from(weights, (weight) => 1 / weight);
    this.#due = this.#period.map((period) => period * random());
    this.#heap = Uint32Array.from(weights, (_, i) => i).toSorted(
      (a, b) => this.#due[a]! - this.#due[b]!,
    );
  }

  next(): number {
    const index = this.#heap[0]!;
    this.#due[index] = this.#due[index]! + this.#period[index]!;
    this.#sink();
    return index;
  }

  #sink(): void {
    const heap = this.#heap;
    const due = this.#due;
    const moved = heap[0]!;
    const at = due[moved]!;
    let place = 0;
    for (;;) {
      let child = place * 2 + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && due[heap[child + 1]!]! < due[heap[child]!]!) child += 1;
      if (due[heap[child]!]! >= at) break;
      heap[place] = heap[child]!;
      place = child;
    }
    heap[place] = moved;
  }
}
