// Consistent hashing by Maglev's table: a look-up is one index, and shares are even to a fraction of a percent.
import { hashText } from '../hash.ts';
import type { Balanced, Balancer, Random } from './balancer.ts';

const stepSeed = 0x9e3779b9;

export class Maglev<M extends Balanced> implements Balancer<M> {
  readonly #tableSize: number;
  readonly #random: Random;
  #members: readonly M[] = [];
  /** The member of each slot, by index. */
  #slots: Uint32Array = new Uint32Array(0);

  /** @param tableSize a prime */
  constructor(tableSize: number, random: Random = Math.random) {
    this.#tableSize = tableSize;
    this.#random = random;
  }

  take(members: readonly M[]): void {
    this.#members = members;
    this.#slots = slotsOf(members, this.#tableSize);
  }

  pick(tried: readonly M[], hash: number | null): M | null {
    const size = this.#slots.length;
    if (size === 0) return null;
    const at = hash === null ? Math.trunc(this.#random() * size) : hash % size;
    for (let i = 0; i < size; i += 1) {
      const member = this.#members[this.#slots[(at + i) % size]!]!;
      if (!tried.includes(member)) return member;
    }
    return null;
  }
}

/** Members take turns by share; each takes the next free slot of its own permutation of them all. */
function slotsOf(members: readonly Balanced[], size: number): Uint32Array {
  if (members.length === 0) return new Uint32Array(0);
  const free = 0xffff_ffff;
  const slots = new Uint32Array(size).fill(free);
  const largest = members.reduce((high, member) => Math.max(high, member.share), 0);
  const at = Uint32Array.from(members, ({ address }) => hashText(address) % size);
  const step = Uint32Array.from(
    members,
    ({ address }) => (hashText(address, stepSeed) % (size - 1)) + 1,
  );
  const due = new Float64Array(members.length);
  let left = size;
  for (let round = 1; ; round += 1) {
    for (let i = 0; i < members.length; i += 1) {
      if (round * members[i]!.share < due[i]!) continue;
      due[i] = due[i]! + largest;
      while (slots[at[i]!] !== free) at[i] = (at[i]! + step[i]!) % size;
      slots[at[i]!] = i;
      left -= 1;
      if (left === 0) return slots;
    }
  }
}
