// Counters and histograms as one typed array: a row for each set of labels, found once and kept.

/** Envoy's default histogram bounds, which Istio uses for milliseconds and for bytes alike. */
export const bucketBounds: readonly number[] = [
  0.5, 1, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 30_000, 60_000, 300_000, 600_000,
  1_800_000, 3_600_000,
];
const bounds = new Float64Array(bucketBounds);
/** One cell for the sum, one for each bound, one for what lies above all of them. */
export const histogramCells = bucketBounds.length + 2;

/** Row 0 is where everything goes once the table is full: a label can cost no more memory. */
export class SeriesTable<Labels> {
  readonly labels: Labels[] = [];
  cells: Float64Array;
  /** Look-ups that ended in row 0. */
  overflows = 0;
  private readonly rows = new Map<string, number>();
  readonly stride: number;
  private readonly rowsMax: number;

  /**
   * @param stride cells in a row
   * @param rowsMax rows beside row 0
   */
  constructor(stride: number, rowsMax: number, overflow: Labels) {
    this.stride = stride;
    this.rowsMax = rowsMax;
    this.cells = new Float64Array(stride * 8);
    this.labels.push(overflow);
  }

  /** The row's first cell. Not for the hot path: callers keep the answer. */
  find(key: string, make: () => Labels): number {
    const known = this.rows.get(key);
    if (known !== undefined) return known;
    if (this.labels.length > this.rowsMax) {
      this.overflows++;
      return 0;
    }
    const base = this.labels.length * this.stride;
    if (base + this.stride > this.cells.length) {
      const grown = new Float64Array(this.cells.length * 2);
      grown.set(this.cells);
      this.cells = grown;
    }
    this.labels.push(make());
    this.rows.set(key, base);
    return base;
  }

  add(cell: number, amount: number): void {
    this.cells[cell] = (this.cells[cell] ?? 0) + amount;
  }

  /** @param histogram first cell of a histogram: `base + offset` */
  observe(histogram: number, value: number): void {
    const cells = this.cells;
    cells[histogram] = (cells[histogram] ?? 0) + value;
    let bucket = 0;
    while (bucket < bounds.length && value > (bounds[bucket] ?? Infinity)) bucket++;
    const cell = histogram + 1 + bucket;
    cells[cell] = (cells[cell] ?? 0) + 1;
  }
}
