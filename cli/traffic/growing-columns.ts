// Columns of lines that come one by one: each is as wide as the widest text so far, so that what comes next lines up.
import { cut } from '../printable.ts';
import { type Cell, paint } from '../table.ts';

/** A single long text does not push all that follows out of sight. */
const widthMax = 60;

export class GrowingColumns {
  readonly #tty: boolean;
  readonly #columns: number;
  readonly #widths: number[] = [];

  /** @param columns of the terminal; Infinity: lines are never cut */
  constructor(tty: boolean, columns: number) {
    this.#tty = tty;
    this.#columns = columns;
  }

  /** Without a line end. The last cell takes what is left of the line, and at least 20 columns. */
  line(cells: readonly Cell[]): string {
    const parts: string[] = [];
    let used = 0;
    for (const [i, { text, colour }] of cells.entries()) {
      const isLast = i === cells.length - 1;
      const width = Math.max(this.#widths[i] ?? 0, Math.min(text.length, widthMax));
      if (!isLast) this.#widths[i] = width;
      const shown = isLast ? cut(text, Math.max(20, this.#columns - used)) : text.padEnd(width);
      used += shown.length + 2;
      parts.push(paint(shown, colour, this.#tty && shown !== ''));
    }
    return parts.join('  ').trimEnd();
  }
}
