// Changes bytes as attacks do: at the ends of lines more than elsewhere, with what attacks are made of.
import { lineEnds, lineNames, lineValues, nameGaps, pieces } from './pieces.ts';
import type { Random } from './random.ts';

const textMax = 4_096;

/** @param other what may be spliced in */
export function mutate(random: Random, text: string, other: string): string {
  for (let left = 1 + random.below(3); left > 0; left--) {
    text = mutateOnce(random, text, other);
    if (text.length > textMax) text = text.slice(0, textMax);
  }
  return text;
}

function mutateOnce(random: Random, text: string, other: string): string {
  const at = place(random, text);
  const length = 1 + random.below(random.once(4) ? 40 : 4);
  switch (random.below(9)) {
    case 0:
      return text.slice(0, at) + text.slice(at + length);
    case 1:
      return text.slice(0, at + length) + text.slice(at);
    case 2:
      return text.slice(0, at) + random.pick(pieces) + text.slice(at + length);
    case 3:
      return text.slice(0, at) + String.fromCharCode(random.below(256)) + text.slice(at + 1);
    case 4:
      return text.slice(0, at) + writeLine(random) + text.slice(at);
    case 5: {
      const to = place(random, text);
      const piece = text.slice(at, at + length);
      const rest = text.slice(0, at) + text.slice(at + length);
      return rest.slice(0, to) + piece + rest.slice(to);
    }
    case 6:
      return text.slice(0, at) + other.slice(place(random, other));
    default:
      return text.slice(0, at) + random.pick(pieces) + text.slice(at);
  }
}

function writeLine(random: Random): string {
  const line = `${random.pick(lineNames)}${random.pick(nameGaps)}${random.pick(lineValues)}`;
  return line + random.pick(lineEnds);
}

/** Half of the places are beside the end of a line. */
function place(random: Random, text: string): number {
  const at = random.below(text.length + 1);
  if (random.once(2)) return at;
  const end = text.indexOf('\r\n', at);
  return end < 0 ? at : end + 2 * random.below(2);
}

/** Ends of the pieces in which `length` bytes arrive, ascending, the last is `length`. */
export function splits(random: Random, length: number): number[] {
  const ends: number[] = [];
  const step = 1 + random.below(random.once(3) ? 3 : 60);
  for (let at = 0; at < length;) {
    at = Math.min(length, at + 1 + random.below(step));
    ends.push(at);
  }
  return ends;
}
