// Counters and histograms as one typed array: a row for each set of labels, found once and kept.

export type SeriesLabels = Readonly<Record<string, string>>;

/** What a row counts. */
export interface Series {
  readonly labels: SeriesLabels;
  /** Bits of the metrics that have these labels; the cells of all others are not shown. */
  readonly shown: number;
  /** Labels as a page has them, made at the first scrape. */
  text: string;
}

/** A call that stands for its bucket. */
export interface Exemplar {
  readonly traceId: string;
  readonly value: number;
  /** Seconds since 1970. */
  readonly atSeconds: number;
}

/** Envoy's default histogram bounds, which Istio uses for milliseconds and for bytes alike. */
export const bucketBounds: readonly number[] = [
  0.5, 1, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 30_000, 60_000, 300_000, 600_000,
  1_800_000, 3_600_000,
];
const bounds = new Float64Array(bucketBounds);
/** One cell for the sum, one for each bound, one for what lies above all of them. */
export const histogramCells = bucketBounds.length + 2;

/** Bits of `Series.shown`: every metric. */
export const allShown = 0xff;

/** A caller (or whoever else adds rows) has at least so many, and at most a quarter of the table. */
export const ownerRowsMin = 100;
/** An exemplar stays for so long, so that many sampled calls cost no more than a few. */
const exemplarMs = 1000;

/** Row 0 is where everything goes once the table is full: a label can cost no more memory. */
export class SeriesTable {
  readonly series: Series[] = [
    { labels: Object.freeze({ reporter: 'overflow' }), shown: allShown, text: '' },
  ];
  cells: Float64Array;
  /** By cell of a bucket: at most one for each. */
  readonly exemplars = new Map<number, Exemplar>();
  /** Look-ups that ended in row 0. */
  overflows = 0;
  readonly stride: number;
  private readonly rows = new Map<string, number>();
  private readonly owned = new Map<string, number>();
  private readonly rowsMax: number;
  private readonly ownerRowsMax: number;

  /**
   * @param stride cells in a row
   * @param rowsMax rows beside row 0
   */
  constructor(stride: number, rowsMax: number) {
    this.stride = stride;
    this.rowsMax = rowsMax;
    this.ownerRowsMax = Math.max(ownerRowsMin, rowsMax >> 2);
    this.cells = new Float64Array(stride * 8);
  }

  /**
   * The row's first cell. Not for the hot path: callers keep the answer.
   * @param owner who makes this row necessary, so that one cannot take the room of all; '': nobody
   */
  find(key: string, owner: string, make: () => Omit<Series, 'text'>): number {
    const known = this.rows.get(key);
    if (known !== undefined) return known;
    const had = owner === '' ? 0 : (this.owned.get(owner) ?? 0);
    if (this.series.length > this.rowsMax || had >= this.ownerRowsMax) {
      this.overflows++;
      return 0;
    }
    if (owner !== '') this.owned.set(owner, had + 1);
    const base = this.series.length * this.stride;
    if (base + this.stride > this.cells.length) {
      const grown = new Float64Array(this.cells.length * 2);
      grown.set(this.cells);
      this.cells = grown;
    }
    this.series.push({ ...make(), text: '' });
    this.rows.set(key, base);
    return base;
  }

  add(cell: number, amount: number): void {
    this.cells[cell] = (this.cells[cell] ?? 0) + amount;
  }

  /**
   * @param histogram first cell of a histogram: `base + offset`
   * @returns the cell of the bucket
   */
  observe(histogram: number, value: number): number {
    const cells = this.cells;
    cells[histogram] = (cells[histogram] ?? 0) + value;
    let bucket = 0;
    while (bucket < bounds.length && value > (bounds[bucket] ?? Infinity)) bucket++;
    const cell = histogram + 1 + bucket;
    cells[cell] = (cells[cell] ?? 0) + 1;
    return cell;
  }

  /** A sampled call that was counted in a bucket. */
  exemplify(cell: number, value: number, traceId: string, epochMs: number): void {
    const kept = this.exemplars.get(cell);
    const atSeconds = epochMs / 1000;
    if (kept !== undefined && atSeconds - kept.atSeconds < exemplarMs / 1000) return;
    // A copy: a slice would keep the whole head that it was read from.
    const copy = Buffer.from(traceId, 'latin1').toString('latin1');
    this.exemplars.set(cell, { traceId: copy, value, atSeconds });
  }

  /** Forgets every row: what is counted from now on has other labels. */
  clear(): void {
    this.series.length = 1;
    this.rows.clear();
    this.owned.clear();
    this.exemplars.clear();
    this.cells.fill(0);
  }
}
