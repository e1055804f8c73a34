// Several shapes read at once: where in each of them a text has come to.
import type { Shape } from './shape.ts';

/** Places that are open after some text, in order; none: no shape can go on. */
export type Open = readonly number[];

export class Positions {
  /** The places of all shapes in a row, with an end after each. */
  readonly #places: (Shape[number] | null)[] = [];
  readonly #shapeOf: number[] = [];
  readonly start: Open;

  constructor(shapes: readonly Shape[]) {
    const begin: number[] = [];
    for (const [i, shape] of shapes.entries()) {
      begin.push(this.#places.length);
      for (const place of [...shape, null]) {
        this.#places.push(place);
        this.#shapeOf.push(i);
      }
    }
    const open = new Set<number>();
    for (const at of begin) this.#enter(at, open);
    this.start = ordered(open);
  }

  next(open: Open, char: string): Open {
    const after = new Set<number>();
    for (const at of open) {
      const place = this.#places[at] ?? null;
      if (place === null) continue;
      const { set, repeated } = place;
      const fits = 'chars' in set ? set.chars.includes(char) : set.has(char);
      if (fits) this.#enter(repeated ? at : at + 1, after);
    }
    return ordered(after);
  }

  /** The shapes that the text so far is one of. */
  met(open: Open): number[] {
    return open.filter((at) => this.#places[at] === null).map((at) => this.#shapeOf[at] ?? 0);
  }

  /** Characters that some open place names: all others of a class are alike to it. */
  named(open: Open): ReadonlySet<string> {
    const chars = new Set<string>();
    for (const at of open) {
      const set = this.#places[at]?.set;
      if (set !== undefined && 'chars' in set) for (const char of set.chars) chars.add(char);
    }
    return chars;
  }

  /** A repeated place may be passed over. */
  #enter(at: number, open: Set<number>): void {
    open.add(at);
    if (this.#places[at]?.repeated === true) this.#enter(at + 1, open);
  }
}

function ordered(open: ReadonlySet<number>): Open {
  return [...open].toSorted((a, b) => a - b);
}
