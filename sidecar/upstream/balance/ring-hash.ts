// Consistent hashing on a ring, as Envoy's: a member that goes or comes moves only its own keys.
import { hashText } from '../hash.ts';
import type { Balanced, Balancer, Random } from './balancer.ts';

/** Entries of one ring at most; beyond, members have fewer places and shares are coarser. */
const ringSizeMax = 2 ** 20;
/** A place's hash and member in one number that a Float64Array sorts natively: 32 and 20 bits. */
const memberBits = 2 ** 20;

export class RingHash<M extends Balanced> implements Balancer<M> {
  readonly #minimumSize: number;
  readonly #random: Random;
  #members: readonly M[] = [];
  #places: Uint32Array = new Uint32Array(0);
  /** The member of each place, by index. */
  #owners: Uint32Array = new Uint32Array(0);

  constructor(minimumSize: number, random: Random = Math.random) {
    this.#minimumSize = Math.min(minimumSize, ringSizeMax);
    this.#random = random;
  }

  take(members: readonly M[]): void {
    this.#members = members;
    const entries = entriesOf(members, this.#minimumSize);
    this.#places = Uint32Array.from(entries, (entry) => Math.floor(entry / memberBits));
    this.#owners = Uint32Array.from(entries, (entry) => entry % memberBits);
  }

  pick(tried: readonly M[], hash: number | null): M | null {
    const size = this.#places.length;
    if (size === 0) return null;
    const at = this.#firstFrom(hash ?? this.#random() * 2 ** 32);
    for (let i = 0; i < size; i += 1) {
      const member = this.#members[this.#owners[(at + i) % size]!]!;
      if (!tried.includes(member)) return member;
    }
    return null;
  }

  /** The place that follows a hash, the first one after the last. */
  #firstFrom(hash: number): number {
    const places = this.#places;
    let [low, high] = [0, places.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (places[middle]! < hash) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** Everybody has places by his share, the least one at least one, all together the minimum or more. */
function entriesOf(members: readonly Balanced[], minimumSize: number): Float64Array {
  const sum = members.reduce((total, member) => total + member.share, 0);
  const least = members.reduce((low, member) => Math.min(low, member.share), Infinity) / sum;
  const scale = Math.min(Math.ceil(least * minimumSize) / least, ringSizeMax);
  const entries: number[] = [];
  let [wanted, have] = [0, 0];
  members.forEach((member, index) => {
    // As a running sum, so that rounding neither loses nor adds places.
    wanted += (scale * member.share) / sum;
    for (let i = 0; have < wanted - 1e-9; i += 1, have += 1) {
      entries.push(hashText(`${member.address}_${i}`) * memberBits + index);
    }
  });
  return Float64Array.from(entries).toSorted();
}
