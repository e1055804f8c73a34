// Fuzzes HPACK: what is encoded decodes to the same, and what is not is judged as a naive decoder judges it.
import { HpackDecoder } from '#sidecar/wire/http2/hpack/decoder.ts';
import { HpackEncoder } from '#sidecar/wire/http2/hpack/encoder.ts';

import { Dice } from './dice.ts';
import { NaiveDecoder, type NaiveField } from './naive-hpack.ts';

const sizes = [0, 33, 64, 200, 1000, 4096, 8192];
const names = [':path', 'accept', 'cookie', 'content-type', 'x-a', 'x-request-id', 'a', 'z-z'];
/** Blocks that one pair of coder and decoder lives through. */
const blocksPerPair = 40;

/**
 * @param executions blocks to try
 * @returns how many were tried: all of them
 * @throws Error when two disagree, with what repeats it
 */
export function fuzzHpack(seed: number, executions: number): number {
  const dice = new Dice(seed);
  let pair = new Pair(dice);
  for (let done = 0; done < executions; done++) {
    if (done % blocksPerPair === 0 || pair.over) pair = new Pair(dice);
    const wrong = dice.oneIn(3) ? pair.judge() : pair.roundTrip();
    if (wrong !== '') throw new Error(`seed ${seed}, execution ${done}: ${wrong}`);
  }
  return executions;
}

class Pair {
  /** The decoder met an error, of which there is no way back. */
  over = false;
  private readonly dice: Dice;
  private readonly encoder: HpackEncoder;
  private readonly decoder: HpackDecoder;
  private readonly naive: NaiveDecoder;
  private readonly out = Buffer.alloc(65_536);

  constructor(dice: Dice) {
    this.dice = dice;
    // The decoder's table is what the encoder was told, or the default.
    this.encoder = new HpackEncoder(dice.of(sizes));
    this.decoder = new HpackDecoder(8192);
    this.naive = new NaiveDecoder(8192);
  }

  /** @returns what is wrong, '' when nothing is */
  roundTrip(): string {
    const fields = this.someFields();
    const block = this.encode(fields);
    return this.compare(block, fields);
  }

  /** A block that is mutated, or random. @returns what is wrong */
  judge(): string {
    const { dice } = this;
    const good = this.encode(this.someFields());
    const block = dice.oneIn(4) ? dice.bytes(dice.below(60)) : dice.mutate(good);
    const wrong = this.compare(block, null);
    // The encoder knows nothing of what the decoder was given instead.
    this.over = true;
    return wrong;
  }

  private compare(block: Buffer, expected: readonly NaiveField[] | null): string {
    const got: NaiveField[] = [];
    let outside = '';
    // Bytes around it, which are not the block's.
    const wide = Buffer.concat([Buffer.alloc(3, 0x82), block, Buffer.alloc(3, 0x82)]);
    const good = this.decoder.decode(wide, 3, wide.length - 3, {
      field: (buffer, nameFrom, nameTo, values, from, to) => {
        const inside = nameFrom <= nameTo && nameTo <= buffer.length && from <= to;
        if (!inside || to > values.length)
          outside = `a field at ${nameFrom}-${nameTo}, ${from}-${to}`;
        got.push([
          buffer.toString('latin1', nameFrom, nameTo),
          values.toString('latin1', from, to),
        ]);
      },
    });
    const wanted = this.naive.decode(block);
    const told = `${block.toString('hex')}: ${good} ${JSON.stringify(got)}`;
    if (outside !== '') return `${outside} of ${told}`;
    if (good !== (wanted !== null)) return `${told}, the naive one ${JSON.stringify(wanted)}`;
    if (good && !same(got, wanted!)) return `${told}, the naive one ${JSON.stringify(wanted)}`;
    if (expected !== null && !same(got, expected))
      return `${told}, not ${JSON.stringify(expected)}`;
    return '';
  }

  private encode(fields: readonly NaiveField[]): Buffer {
    const { dice, encoder, out } = this;
    while (dice.oneIn(6)) encoder.setPeerTableBytesMax(dice.of(sizes));
    let offset = encoder.begin(out, 0);
    for (const [name, value] of fields) offset = encoder.text(out, offset, name, value);
    return out.subarray(0, offset);
  }

  private someFields(): NaiveField[] {
    const { dice } = this;
    return Array.from({ length: dice.below(10) }, () => {
      const name = dice.oneIn(4) ? `n${dice.below(1000)}` : dice.of(names);
      const length = dice.oneIn(20) ? dice.below(3000) : dice.below(40);
      const value = dice.oneIn(2)
        ? dice.of(['', '1', 'text/html'])
        : String(dice.below(9)).repeat(length);
      return [name, dice.oneIn(8) ? dice.bytes(length).toString('latin1') : value];
    });
  }
}

function same(one: readonly NaiveField[], other: readonly NaiveField[]): boolean {
  return (
    one.length === other.length &&
    one.every(([name, value], i) => name === other[i]![0] && value === other[i]![1])
  );
}
