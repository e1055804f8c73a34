// The plot of results: CPU per request as a multiple of Envoy's, a line for each scenario.
import type { Outcome } from './compare.ts';
import { ratioToEnvoy } from './report.ts';
import type { Scenario } from './scenarios.ts';
import { dot, drawing, line, text } from './svg.ts';

const colors: Readonly<Record<string, string>> = {
  selvage: '#cf222e',
  envoy: '#57606a',
  'envoy-h2': '#8c959f',
  haproxy: '#0969da',
  nginx: '#1a7f37',
};
const otherColor = '#8250df';
const width = 860;
const left = 250;
const right = 800;
const top = 84;
const rowHeight = 24;
/** What is beyond is drawn at the edge, with its number. */
const ratioMax = 3;
const steps = [0, 0.5, 1, 1.5, 2, 2.5, 3];

export function plotRatios(outcomes: readonly Outcome[]): string {
  const rows = [...new Set(outcomes.map(({ scenario }) => scenario))];
  const present = new Set(outcomes.map(({ proxy }) => proxy));
  const names = [...new Set([...Object.keys(colors), ...present])].filter((name) =>
    present.has(name),
  );
  const bottom = top + rows.length * rowHeight;
  const shapes = [
    ...legend(names),
    ...steps.flatMap((step) => [
      line([xOf(step), top - 8], [xOf(step), bottom], step === 1 ? '#57606a' : '#d8dee4'),
      text(xOf(step), bottom + 18, String(step), { anchor: 'middle' }),
    ]),
    text((left + right) / 2, bottom + 38, 'CPU, multiple of Envoy (left is better)', {
      anchor: 'middle',
    }),
    ...rows.flatMap((scenario, i) =>
      rowOf(scenario, top + i * rowHeight + rowHeight / 2, outcomes),
    ),
  ];
  const title = 'CPU for each request, connection or MB, beside Envoy in the same run';
  return drawing(width, bottom + 52, title, shapes);
}

function legend(names: readonly string[]): string[] {
  return names.flatMap((name, i) => [
    dot(left + i * 110, 52, 5, colorOf(name)),
    text(left + 10 + i * 110, 56, name),
  ]);
}

function rowOf(scenario: Scenario, y: number, outcomes: readonly Outcome[]): string[] {
  const own = outcomes.filter((outcome) => outcome.scenario === scenario);
  const dots = own.flatMap((outcome) => {
    const ratio = ratioToEnvoy(outcome, outcomes);
    if (Number.isNaN(ratio)) return [];
    const shape = dot(xOf(ratio), y, outcome.proxy === 'selvage' ? 6 : 5, colorOf(outcome.proxy));
    if (ratio <= ratioMax) return [shape];
    const label = text(xOf(ratio) + 9, y + 4, ratio.toFixed(1), { color: colorOf(outcome.proxy) });
    return [shape, label];
  });
  const name = text(left - 14, y + 4, scenario.name, { anchor: 'end' });
  return [name, line([left, y], [right, y], '#eaeef2'), ...dots];
}

function xOf(ratio: number): number {
  return left + (Math.min(ratio, ratioMax) / ratioMax) * (right - left);
}

function colorOf(name: string): string {
  return colors[name] ?? otherColor;
}
