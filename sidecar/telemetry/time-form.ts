// Times of log lines in a form that is asked for: strftime's letters, and fractions of a second.
import type { timeLetters } from '#api/access-log/arguments.ts';

type Part = (date: Date) => string;

/** @returns writes milliseconds since 1970, in UTC */
export function compileTimeForm(form: string): (epochMs: number) => string {
  const parts: (string | Part)[] = [];
  for (const [token] of form.matchAll(/%[1-9]?f|%.|[^%]+/gs)) {
    if (!token.startsWith('%')) parts.push(token);
    else if (token === '%%') parts.push('%');
    else if (token.endsWith('f')) parts.push(fraction(token.length === 3 ? Number(token[1]) : 9));
    else parts.push(letters[token[1] as Letter] ?? token);
  }
  let last = -1;
  let text = '';
  return (epochMs) => {
    if (epochMs === last) return text;
    const date = new Date(epochMs);
    last = epochMs;
    text = parts.map((part) => (typeof part === 'string' ? part : part(date))).join('');
    return text;
  };
}

type Letter = (typeof timeLetters)[number];

const two = (value: number): string => String(value).padStart(2, '0');
const months =
  'January February March April May June July August September October November December'.split(
    ' ',
  );
const days = 'Sunday Monday Tuesday Wednesday Thursday Friday Saturday'.split(' ');
const isoDate: Part = (date) => date.toISOString().slice(0, 10);
const isoTime: Part = (date) => date.toISOString().slice(11, 19);
const hour12: Part = (date) => two(date.getUTCHours() % 12 || 12);
const month: Part = (date) => months[date.getUTCMonth()] ?? '';
const weekday: Part = (date) => days[date.getUTCDay()] ?? '';
const dayMs = 86_400_000;

/** Typed by the vocabulary, so that nothing that `check` lets pass is missing. */
const letters: Readonly<Record<Letter, Part>> = {
  Y: (date) => String(date.getUTCFullYear()),
  y: (date) => two(date.getUTCFullYear() % 100),
  m: (date) => two(date.getUTCMonth() + 1),
  d: (date) => two(date.getUTCDate()),
  e: (date) => String(date.getUTCDate()).padStart(2),
  H: (date) => two(date.getUTCHours()),
  I: hour12,
  p: (date) => (date.getUTCHours() < 12 ? 'AM' : 'PM'),
  M: (date) => two(date.getUTCMinutes()),
  S: (date) => two(date.getUTCSeconds()),
  B: month,
  b: (date) => month(date).slice(0, 3),
  A: weekday,
  a: (date) => weekday(date).slice(0, 3),
  j: (date) => {
    const first = Date.UTC(date.getUTCFullYear(), 0, 1);
    return String(Math.floor((date.getTime() - first) / dayMs) + 1).padStart(3, '0');
  },
  F: isoDate,
  T: isoTime,
  R: (date) => isoTime(date).slice(0, 5),
  D: (date) =>
    `${two(date.getUTCMonth() + 1)}/${two(date.getUTCDate())}/${two(date.getUTCFullYear() % 100)}`,
  z: () => '+0000',
  Z: () => 'UTC',
  s: (date) => String(Math.floor(date.getTime() / 1000)),
};

function fraction(digits: number): Part {
  return (date) =>
    String(date.getUTCMilliseconds()).padStart(3, '0').padEnd(9, '0').slice(0, digits);
}
