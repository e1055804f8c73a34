// Each in turn; where shares differ, the one whose turn by its share is due first.
import { isEven, untriedFrom, type Balanced, type Balancer, type Random } from './balancer.ts';
import { Schedule } from './schedule.ts';

export class RoundRobin<M extends Balanced> implements Balancer<M> {
  #members: readonly M[] = [];
  #next: number;
  readonly #random: Random;
  /** Null: shares are even. */
  #schedule: Schedule | null = null;

  /** @param random many sidecars that begin together should not all begin with the same endpoint */
  constructor(random: Random = Math.random) {
    this.#random = random;
    this.#next = Math.trunc(random() * 1024);
  }

  take(members: readonly M[]): void {
    this.#members = members;
    this.#schedule = isEven(members)
      ? null
      : new Schedule(
          members.map((member) => member.share),
          this.#random,
        );
  }

  pick(tried: readonly M[]): M | null {
    const members = this.#members;
    if (members.length === 0) return null;
    // A second try takes nobody's turn: else every call would begin with the endpoint that is
    // down, and end with the one that is not.
    if (tried.length > 0) return untriedFrom(members, tried, this.#next);
    if (this.#schedule !== null) return members[this.#schedule.next()]!;
    const at = this.#next % members.length;
    this.#next = at + 1;
    return members[at]!;
  }
}
