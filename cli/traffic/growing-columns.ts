// Columns of lines that come one by one: each is as wide as the widest text so far, so that what comes next lines up.
import { cut } from '../printable.ts';
import { type Cell, paint } from '../table.ts';

/** A single long text does not push all that follows out of sight. */
const widthMax = 60;
const indent = '    ';

export class GrowingColumns {
  readonly #tty: boolean;
  readonly #columns: number;
  readonly #widths: number[] = [];

  /** @param columns of the terminal; Infinity: lines are never cut */
  constructor(tty: boolean, columns: number) {
    this.#tty = tty;
    this.#columns = columns;
  }

  /** Without a line end. The last cell goes below where it does not fit, and is cut there. */
  line(cells: readonly Cell[]): string {
    const last = cells.at(-1) ?? { text: '' };
    const first = cells.slice(0, -1).map(({ text, colour }, i) => {
      const width = Math.max(this.#widths[i] ?? 0, Math.min(text.length, widthMax));
      this.#widths[i] = width;
      return { text: text.padEnd(width), colour };
    });
    const used = first.reduce((sum, { text }) => sum + text.length + 2, 0);
    const line = first.map(({ text, colour }) => paint(text, colour, this.#tty)).join('  ');
    if (last.text === '') return line.trimEnd();
    const fits = used + last.text.length <= this.#columns;
    const shown = fits ? last.text : cut(last.text, Math.max(20, this.#columns - indent.length));
    return `${line}${fits ? '  ' : `\n${indent}`}${paint(shown, last.colour, this.#tty)}`;
  }
}
