// Metrics as plain data: what can be sent between threads, summed, and written in either format.
import type { Gauge } from './exposition.ts';
import type { Exemplar, SeriesLabels } from './series.ts';

/** A metric with all its series. */
export type Family = NumberFamily | HistogramFamily;

export interface NumberFamily {
  /** Of a counter with `_total`. */
  readonly name: string;
  readonly help: string;
  readonly type: 'counter' | 'gauge';
  readonly samples: readonly Sample[];
}

export interface Sample {
  /** As a page has them: `a="b",c="d"`. */
  readonly labels: string;
  readonly value: number;
}

export interface HistogramFamily {
  readonly name: string;
  readonly help: string;
  readonly type: 'histogram';
  readonly samples: readonly HistogramSample[];
  /** Upper bounds, rising; what lies above all of them comes last in `counts`. */
  readonly bounds: readonly number[];
}

export interface HistogramSample {
  readonly labels: string;
  readonly sum: number;
  /** Of each bucket alone. */
  readonly counts: readonly number[];
  /** By bucket. */
  readonly exemplars: Readonly<Record<number, Exemplar>>;
}

export function readGauge(gauge: Gauge): NumberFamily {
  const { name, help, type } = gauge;
  const samples = gauge.read().map(({ labels, value }) => ({ labels: labelText(labels), value }));
  return { name, help, type, samples };
}

export function labelText(labels: SeriesLabels): string {
  return Object.entries(labels)
    .map(([name, value]) => `${name}="${escaped(value)}"`)
    .join(',');
}

/** The numbers of several workers as one: all is summed, of exemplars the newest counts. */
export function mergeFamilies(pages: readonly (readonly Family[])[]): Family[] {
  const byName = new Map<string, Family[]>();
  for (const family of pages.flat()) {
    const same = byName.get(family.name);
    if (same === undefined) byName.set(family.name, [family]);
    else same.push(family);
  }
  return [...byName.values()].map(merged);
}

function merged(families: readonly Family[]): Family {
  const [first] = families;
  if (first === undefined) throw new Error('a name has a family');
  if (families.length === 1) return first;
  if (first.type !== 'histogram') {
    const all = families.flatMap((one) => (one.type === 'histogram' ? [] : one.samples));
    const samples = summed(all, (a, b) => ({ ...a, value: a.value + b.value }));
    return { ...first, samples };
  }
  const all = families.flatMap((one) => (one.type === 'histogram' ? one.samples : []));
  return { ...first, samples: summed(all, addHistogram) };
}

function summed<S extends { labels: string }>(samples: readonly S[], add: (a: S, b: S) => S): S[] {
  const byLabels = new Map<string, S>();
  for (const sample of samples) {
    const before = byLabels.get(sample.labels);
    byLabels.set(sample.labels, before === undefined ? sample : add(before, sample));
  }
  return [...byLabels.values()];
}

function addHistogram(a: HistogramSample, b: HistogramSample): HistogramSample {
  const exemplars = { ...a.exemplars };
  for (const [bucket, exemplar] of Object.entries(b.exemplars)) {
    const other = exemplars[Number(bucket)];
    if (other === undefined || other.atSeconds < exemplar.atSeconds) {
      exemplars[Number(bucket)] = exemplar;
    }
  }
  const counts = a.counts.map((count, bucket) => count + (b.counts[bucket] ?? 0));
  return { labels: a.labels, sum: a.sum + b.sum, counts, exemplars };
}

function escaped(value: string): string {
  return /["\\\n]/.test(value)
    ? value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')
    : value;
}
