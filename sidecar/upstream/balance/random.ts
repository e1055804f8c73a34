// Any member, by its share.
import { isEven, untriedFrom, type Balanced, type Balancer, type Random } from './balancer.ts';
import { Draw } from './draw.ts';

export class RandomChoice<M extends Balanced> implements Balancer<M> {
  readonly #random: Random;
  #members: readonly M[] = [];
  #draw: Draw | null = null;

  constructor(random: Random = Math.random) {
    this.#random = random;
  }

  take(members: readonly M[]): void {
    this.#members = members;
    this.#draw = isEven(members) ? null : new Draw(members.map((member) => member.share));
  }

  pick(tried: readonly M[]): M | null {
    const members = this.#members;
    if (members.length === 0) return null;
    const at = this.#random();
    const index = this.#draw === null ? Math.trunc(at * members.length) : this.#draw.index(at);
    return tried.length === 0 ? members[index]! : untriedFrom(members, tried, index);
  }
}
