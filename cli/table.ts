// Columns of text that a person reads at a glance.

const ansi = { green: '32', red: '31', yellow: '33', dim: '2', bold: '1' } as const;
export type Colour = keyof typeof ansi;

export interface Cell {
  readonly text: string;
  readonly colour?: Colour;
}

/** Colours a text; plain when `tty` is false. */
export function paint(text: string, colour: Colour | undefined, tty: boolean): string {
  return tty && colour !== undefined ? `\u001B[${ansi[colour]}m${text}\u001B[0m` : text;
}

/** Lines of a table with a heading; the last column is not padded, so that it may be long. */
export function table(
  heading: readonly string[],
  rows: readonly (readonly Cell[])[],
  tty: boolean,
): string {
  const widths = heading.map((title, column) =>
    Math.max(title.length, ...rows.map((row) => row[column]?.text.length ?? 0)),
  );
  const line = (cells: readonly Cell[]): string =>
    cells
      .map((cell, column) => {
        const last = column === heading.length - 1;
        const padded = last ? cell.text : cell.text.padEnd(widths[column] ?? 0);
        return paint(padded, cell.colour, tty);
      })
      .join('  ')
      .trimEnd();
  const head = line(heading.map((text) => ({ text, colour: 'dim' as const })));
  return [head, ...rows.map(line)].map((text) => `${text}\n`).join('');
}

/** Breaks a text between words; lines after the first have `indent` more spaces. A longer word stays whole. */
export function wrap(text: string, columns: number, indent: number): string[] {
  const margin = /^ */.exec(text)?.[0] ?? '';
  const further = margin + ' '.repeat(indent);
  const lines: string[] = [];
  let line = '';
  for (const word of text.trim().split(/ +/)) {
    const start = lines.length === 0 ? margin : further;
    const longer = line === '' ? start + word : `${line} ${word}`;
    if (longer.length <= columns || line === '') {
      line = longer;
      continue;
    }
    lines.push(line);
    line = further + word;
  }
  return [...lines, line];
}
