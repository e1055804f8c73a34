// The few shapes that the plots are drawn with.

const escapes: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;' };

export function drawing(width: number, height: number, title: string, shapes: readonly string[]) {
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" font-family="sans-serif" font-size="12" role="img">`,
    `<title>${escaped(title)}</title>`,
    `<rect width="${width}" height="${height}" fill="#ffffff"/>`,
    text(16, 26, title, { size: 16 }),
    ...shapes,
    '</svg>',
    '',
  ].join('\n');
}

export function text(
  x: number,
  y: number,
  words: string,
  style: { anchor?: 'start' | 'middle' | 'end'; size?: number; color?: string } = {},
): string {
  const { anchor = 'start', size = 12, color = '#24292f' } = style;
  return `<text x="${round(x)}" y="${round(y)}" text-anchor="${anchor}" font-size="${size}" fill="${color}">${escaped(words)}</text>`;
}

export function line(
  from: readonly [number, number],
  to: readonly [number, number],
  color: string,
  width = 1,
): string {
  return `<line x1="${round(from[0])}" y1="${round(from[1])}" x2="${round(to[0])}" y2="${round(to[1])}" stroke="${color}" stroke-width="${width}"/>`;
}

export function dot(x: number, y: number, radius: number, color: string): string {
  return `<circle cx="${round(x)}" cy="${round(y)}" r="${radius}" fill="${color}"/>`;
}

export function curve(points: readonly (readonly [number, number])[], color: string): string {
  const path = points.map(([x, y]) => `${round(x)},${round(y)}`).join(' ');
  return `<polyline points="${path}" fill="none" stroke="${color}" stroke-width="1.5"/>`;
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}

function escaped(words: string): string {
  return words.replaceAll(/[&<>]/g, (char) => escapes[char] ?? char);
}
