import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import { familyOf, lineLengthMax, PageError, PageReader } from '#sidecar/scrape/page-reader.ts';
import { writeFamilies, type PageFormat } from '#sidecar/telemetry/exposition.ts';
import type { Family } from '#sidecar/telemetry/families.ts';

import { readNaively } from './naive-page.ts';

const families: readonly Family[] = [
  {
    name: 'istio_requests_total',
    help: 'Requests.',
    type: 'counter',
    samples: [{ labels: 'reporter="source"', value: 3 }],
  },
  {
    name: 'istio_request_bytes',
    help: 'Sizes.',
    type: 'histogram',
    bounds: [],
    samples: [{ labels: '', sum: 2, counts: [1], exemplars: {} }],
  },
];
const own = writeFamilies(families, 'text');

function read(page: string, format: PageFormat = 'text', pieceBytes = 1 << 20): string {
  const reader = new PageReader(format, new Set(families.map(({ name }) => familyOf(name))));
  const bytes = Buffer.from(page);
  for (let at = 0; at < bytes.length; at += pieceBytes) {
    reader.push(bytes.subarray(at, at + pieceBytes));
  }
  return reader.end();
}

/** As the scraper gets it. */
function merged(page: string, format: PageFormat): string {
  const lines = read(page, format);
  const end = format === 'text' ? '' : '# EOF\n';
  return writeFamilies(families, format) + lines + end;
}

const valid = `# HELP go_memstats_alloc_bytes Bytes \\\\ of "heap".
# TYPE go_memstats_alloc_bytes gauge
go_memstats_alloc_bytes 1.5e+06
# TYPE go_memstats_alloc_bytes_total counter
go_memstats_alloc_bytes_total 3 1700000000000
# TYPE latency summary
latency{quantile="0.99",path="/a\\"},b"} NaN
\t latency{ quantile = "1" , } +Inf \t
latency_sum	0x1p-2
{"with.dots",host="é"} -Inf
`;

test('a valid page is kept as it is, in whatever pieces it comes', () => {
  for (const pieceBytes of [1, 2, 7, 1 << 20]) expect(read(valid, 'text', pieceBytes)).toBe(valid);
});

test('comments and empty lines go, and a last line that does not end is ended', () => {
  expect(read('# a remark\n\n#\n# EOF\nup 1')).toBe('up 1\n');
});

test('a name is described once and before its samples, and families of ours are ours', () => {
  const twice = '# TYPE a gauge\n# HELP a x\na 1\n# TYPE a gauge\n# HELP a y\na{b="c"} 2\n';
  expect(read(twice)).toBe('# TYPE a gauge\n# HELP a x\na 1\na{b="c"} 2\n');
  expect(read('b 1\n# TYPE b gauge\n')).toBe('b 1\n');
  const clash = '# TYPE istio_request_bytes histogram\nistio_request_bytes_bucket{le="1"} 5\nc 1\n';
  expect(read(clash)).toBe('c 1\n');
});

test('a page of OpenMetrics keeps exemplars and units, and its end is ours to write', () => {
  const lines =
    '# TYPE a_seconds counter\n# UNIT a_seconds seconds\na_seconds_total 1 1.5 # {trace_id="x"} 0.5 1.5\n';
  expect(read(`${lines}# EOF\n`, 'openmetrics')).toBe(lines);
  expect(merged(`${lines}# EOF`, 'openmetrics')).toBe(
    `# HELP istio_requests Requests.
# TYPE istio_requests counter
istio_requests_total{reporter="source"} 3
# HELP istio_request_bytes Sizes.
# TYPE istio_request_bytes histogram
istio_request_bytes_bucket{le="+Inf"} 1
istio_request_bytes_sum 2
istio_request_bytes_count 1
${lines}# EOF
`,
  );
});

test.each([
  ['<html>', 'line 1 is no sample'],
  ['up 1\nup 1 2 3', 'line 2 is no sample'],
  ['up1', 'line 1 is no sample'],
  ['up{a="b} 1', 'line 1 is no sample'],
  ['up{a="b",,} 1', 'line 1 is no sample'],
  ['{a="b"} 1', 'line 1 is no sample'],
  ['up one', 'line 1 is no sample'],
  ['up 1\r', 'line 1 is no sample'],
  ['# TYPE up', 'line 1 has no such type'],
  ['# TYPE', 'line 1 is no HELP'],
  ['# TYPE up speed', 'line 1 has no such type'],
  [`up{a="${'x'.repeat(lineLengthMax)}"} 1\n`, 'line 1 is too long'],
])('a page is refused for a line that a scraper refuses it for (%#)', (page, why) => {
  expect(() => read(page)).toThrow(why);
});

test.each([
  ['up 1\n', 'ends without # EOF'],
  ['up 1\n# EOF\nup 2\n', 'line 3 comes after # EOF'],
  ['# a remark\n# EOF\n', 'line 1 is no HELP'],
  ['\n# EOF\n', 'line 1 is no sample'],
  ['up  1\n# EOF\n', 'line 1 is no sample'],
])('a page of OpenMetrics is refused where it is none: %j', (page, why) => {
  expect(() => read(page, 'openmetrics')).toThrow(why);
});

test('what is no UTF-8 is refused', () => {
  const reader = new PageReader('text');
  expect(() => reader.push(Buffer.from([0x75, 0x70, 0xff, 0x0a]))).toThrow('no UTF-8');
  const cut = new PageReader('text');
  cut.push(Buffer.from([0xc3]));
  expect(() => cut.end()).toThrow(PageError);
});

test('no line takes more time than its length is worth', () => {
  const hostile = [' '.repeat(60_000), `a{${' '.repeat(60_000)}`, `a{${'b="c",'.repeat(10_000)}`];
  const startedMs = performance.now();
  for (const line of [...hostile, `{"${'\\\\'.repeat(30_000)}`, `${'a'.repeat(60_000)}{`]) {
    for (const format of ['text', 'openmetrics'] as const) {
      expect(() => read(`${line}!`, format)).toThrow(PageError);
    }
  }
  expect(performance.now() - startedMs).toBeLessThan(2000);
});

const words = [
  '# TYPE ^# HELP ^# UNIT ^# EOF^#^ ^\t^\n^\n^\n^\r^a^b_total^b^ # ^{^}^{c="d"}^"^\\^=^,^c="d"^1^ 2^-^.5',
  'NaN^+Inf^istio_requests_total^istio_request_bytes_sum^counter^gauge^ gauge\n^é^\u2028',
].flatMap((some) => some.split('^'));

/** Null: the page is refused. */
function mergedOrNull(page: string, format: PageFormat): string | null {
  try {
    return merged(page, format);
  } catch (error) {
    if (error instanceof PageError) return null;
    throw error;
  }
}

test('whatever a page is, ours with it can be read, or it is refused', () => {
  const page = fc.array(fc.constantFrom(...words), { maxLength: 40 }).map((some) => some.join(''));
  const known = ['# TYPE a gauge', '# HELP a x', 'a 1', 'a{c="d"} 2', ...own.split('\n')];
  const lines = fc.array(fc.constantFrom(...known)).map((some) => some.join('\n'));
  const ended = lines.map((some) => `${some}\n# EOF`);
  const formats = fc.constantFrom<PageFormat>('text', 'openmetrics');
  let kept = 0;
  fc.assert(
    fc.property(fc.oneof(page, lines, ended), formats, (text, format) => {
      const whole = mergedOrNull(text, format);
      if (whole === null) return;
      kept += 1;
      const ours = readNaively(whole, format).filter((name) => name.startsWith('istio_request'));
      if (ours.length !== 4) throw new Error(`ours is not there once: ${whole}`);
    }),
    { numRuns: 3000 },
  );
  expect(kept).toBeGreaterThan(300);
});
