// Draws an index in proportion to weights in constant time: Walker's alias method.

export class Draw {
  readonly #chance: Float64Array;
  readonly #alias: Uint32Array;

  /** @param weights at least one, all over 0 */
  constructor(weights: readonly number[]) {
    const count = weights.length;
    const sum = weights.reduce((total, weight) => total + weight, 0);
    const scaled = Float64Array.from(weights, (weight) => (weight * count) / sum);
    this.#chance = new Float64Array(count).fill(1);
    this.#alias = Uint32Array.from(weights, (_, i) => i);
    const small: number[] = [];
    const large: number[] = [];
    for (let i = 0; i < count; i += 1) (scaled[i]! < 1 ? small : large).push(i);
    while (small.length > 0 && large.length > 0) {
      const less = small.pop()!;
      const more = large.pop()!;
      this.#chance[less] = scaled[less]!;
      this.#alias[less] = more;
      scaled[more] = scaled[more]! - (1 - scaled[less]!);
      (scaled[more] < 1 ? small : large).push(more);
    }
  }

  /** @param at from 0 to below 1, evenly spread */
  index(at: number): number {
    const place = at * this.#chance.length;
    const i = Math.trunc(place);
    return place - i < this.#chance[i]! ? i : this.#alias[i]!;
  }
}
