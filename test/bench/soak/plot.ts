// The plot of a soak: resident memory of both processes over time.
import type { Moment } from '../soak.ts';
import { curve, dot, drawing, line, text } from '../svg.ts';

const width = 860;
const height = 380;
const left = 60;
const right = 830;
const top = 80;
const bottom = 330;
const colors = { outbound: '#0969da', inbound: '#cf222e' } as const;
const lines = 5;

export function plotMemory(name: string, moments: readonly Moment[]): string {
  const lastSeconds = Math.max(1, moments.at(-1)?.seconds ?? 1);
  const highest = Math.max(...moments.flatMap((m) => [m.outboundMb, m.inboundMb]));
  const stepMb = Math.ceil(highest / lines / 10) * 10;
  const x = (seconds: number): number => left + (seconds / lastSeconds) * (right - left);
  const y = (mb: number): number => bottom - (mb / (stepMb * lines)) * (bottom - top);
  const shapes = [
    ...Array.from({ length: lines + 1 }, (_, i) => i * stepMb).flatMap((mb) => [
      line([left, y(mb)], [right, y(mb)], '#d8dee4'),
      text(left - 8, y(mb) + 4, String(mb), { anchor: 'end' }),
    ]),
    ...[0, 0.25, 0.5, 0.75, 1].map((part) => {
      const minutes = Number(((part * lastSeconds) / 60).toFixed(2));
      return text(x(part * lastSeconds), bottom + 18, String(minutes), { anchor: 'middle' });
    }),
    text((left + right) / 2, bottom + 38, 'minutes', { anchor: 'middle' }),
    curve(
      moments.map((m) => [x(m.seconds), y(m.outboundMb)]),
      colors.outbound,
    ),
    curve(
      moments.map((m) => [x(m.seconds), y(m.inboundMb)]),
      colors.inbound,
    ),
    dot(left + 6, 52, 5, colors.outbound),
    text(left + 16, 56, 'outbound'),
    dot(left + 116, 52, 5, colors.inbound),
    text(left + 126, 56, 'inbound'),
  ];
  return drawing(width, height, `Resident memory under churn, MB: ${name}`, shapes);
}
