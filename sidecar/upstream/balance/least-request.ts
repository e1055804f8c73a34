// Of two members drawn at random the one with fewer calls under way: nearly the best of all, at the cost of two.
import { isEven, type Balanced, type Balancer, type Random } from './balancer.ts';
import { Draw } from './draw.ts';

/** Up to so many members both are drawn from one number of 32 bits; of more a half is too coarse. */
const halvesMax = 1024;

export class LeastRequest<M extends Balanced> implements Balancer<M> {
  readonly #random: Random;
  /** Of xorshift32, several times faster than a call of Math.random; never 0. */
  readonly #state = new Int32Array(1);
  #members: readonly M[] = [];
  /** Null: shares are even. */
  #draw: Draw | null = null;

  constructor(random: Random = Math.random) {
    this.#random = random;
    this.#state[0] = Math.trunc(random() * 2 ** 31) + 1;
  }

  take(members: readonly M[]): void {
    this.#members = members;
    this.#draw = isEven(members) ? null : new Draw(members.map((member) => member.share));
  }

  pick(tried: readonly M[]): M | null {
    const members = this.#members;
    const count = members.length;
    if (tried.length > 0) return this.#leastUntried(tried);
    if (count < 2) return members[0] ?? null;
    if (this.#draw !== null) return this.#weighed(this.#draw);
    const bits = this.#bits();
    const few = count <= halvesMax;
    const first = few ? ((bits >>> 16) * count) >>> 16 : Math.trunc(this.#random() * count);
    let second = few
      ? ((bits & 0xffff) * (count - 1)) >>> 16
      : Math.trunc(this.#random() * (count - 1));
    if (second >= first) second += 1;
    const a = members[first]!;
    const b = members[second]!;
    return b.active < a.active ? b : a;
  }

  #bits(): number {
    let bits = this.#state[0]!;
    bits ^= bits << 13;
    bits ^= bits >>> 17;
    bits ^= bits << 5;
    this.#state[0] = bits;
    return bits;
  }

  /** Drawn by share and compared by calls for each unit of it: an idle service follows the shares. */
  #weighed(draw: Draw): M {
    const members = this.#members;
    const a = members[draw.index(this.#random())]!;
    const b = members[draw.index(this.#random())]!;
    return b.active * a.share < a.active * b.share ? b : a;
  }

  /** Rare, and the rest may be few: all are looked at. */
  #leastUntried(tried: readonly M[]): M | null {
    const members = this.#members;
    const start = Math.trunc(this.#random() * members.length);
    let best: M | null = null;
    for (let i = 0; i < members.length; i += 1) {
      const member = members[(start + i) % members.length]!;
      if (tried.includes(member)) continue;
      if (best === null || member.active * best.share < best.active * member.share) best = member;
    }
    return best;
  }
}
