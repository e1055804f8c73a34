// Writes a page of metrics: Prometheus' text format, or OpenMetrics for who asks for it, which alone has exemplars.
import type { Family, HistogramFamily, NumberFamily } from './families.ts';
import type { Exemplar, SeriesLabels } from './series.ts';

export type PageFormat = 'text' | 'openmetrics';

/** A number beside the standard metrics, read at each scrape. */
export interface Gauge {
  readonly name: string;
  readonly help: string;
  readonly type: 'counter' | 'gauge';
  read(): readonly { readonly labels: SeriesLabels; readonly value: number }[];
}

export interface Exposition {
  readonly type: string;
  readonly body: string;
}

export const pageTypes: Readonly<Record<PageFormat, string>> = {
  text: 'text/plain; version=0.0.4; charset=utf-8',
  openmetrics: 'application/openmetrics-text; version=1.0.0; charset=utf-8',
};

/** A whole page. */
export function writePage(families: readonly Family[], format: PageFormat): Exposition {
  const end = format === 'openmetrics' ? '# EOF\n' : '';
  return { type: pageTypes[format], body: writeFamilies(families, format) + end };
}

/** Without its end, so that more can follow. */
export function writeFamilies(families: readonly Family[], format: PageFormat): string {
  const lines: string[] = [];
  for (const family of families) {
    // OpenMetrics calls a counter without the ending that its sample has.
    const name = format === 'text' ? family.name : family.name.replace(/_total$/, '');
    lines.push(`# HELP ${name} ${helpText(family.help, format)}\n# TYPE ${name} ${family.type}\n`);
    if (family.type === 'histogram') writeHistogram(lines, family, format);
    else writeNumbers(lines, family);
  }
  return lines.join('');
}

/** The format that a scraper wants; text where it says nothing, or likes both as much. */
export function formatFor(accept: string): PageFormat {
  let [openmetrics, text] = [0, 0];
  for (const wish of accept.split(',')) {
    const [type = '', ...parameters] = wish.split(';').map((part) => part.trim().toLowerCase());
    const weight = weightOf(parameters);
    if (type === 'application/openmetrics-text') openmetrics = Math.max(openmetrics, weight);
    else if (type === 'text/plain') text = Math.max(text, weight);
  }
  return openmetrics > text ? 'openmetrics' : 'text';
}

function weightOf(parameters: readonly string[]): number {
  const said = parameters.find((parameter) => parameter.startsWith('q='));
  const weight = said === undefined ? 1 : Number(said.slice(2));
  return weight >= 0 && weight <= 1 ? weight : 0;
}

function writeNumbers(lines: string[], { name, samples }: NumberFamily): void {
  for (const { labels, value } of samples) {
    lines.push(`${name}${labels === '' ? '' : `{${labels}}`} ${numberText(value)}\n`);
  }
}

/** `le` is written alike in both formats, so that who changes the format finds the same series. */
function writeHistogram(
  lines: string[],
  { name, bounds, samples }: HistogramFamily,
  format: PageFormat,
): void {
  for (const { labels, sum, counts, exemplars } of samples) {
    const before = labels === '' ? '' : `${labels},`;
    const braces = labels === '' ? '' : `{${labels}}`;
    let count = 0;
    for (let i = 0; i <= bounds.length; i++) {
      count += counts[i] ?? 0;
      const exemplar = format === 'text' ? undefined : exemplars[i];
      const le = bounds[i] === undefined ? '+Inf' : String(bounds[i]);
      lines.push(`${name}_bucket{${before}le="${le}"} ${count}${exemplarText(exemplar)}\n`);
    }
    lines.push(`${name}_sum${braces} ${numberText(sum)}\n${name}_count${braces} ${count}\n`);
  }
}

function exemplarText(exemplar: Exemplar | undefined): string {
  if (exemplar === undefined) return '';
  const { traceId, value, atSeconds } = exemplar;
  return ` # {trace_id="${traceId}"} ${value} ${atSeconds.toFixed(3)}`;
}

function numberText(value: number): string {
  if (value === Infinity) return '+Inf';
  return value === -Infinity ? '-Inf' : String(value);
}

function helpText(help: string, format: PageFormat): string {
  const text = help.replaceAll('\\', '\\\\').replaceAll('\n', '\\n');
  return format === 'text' ? text : text.replaceAll('"', '\\"');
}
