// Log lines find the connection that they are about.
import { expect, test } from 'vitest';

import { AccessLines } from '#cli/replay/access-lines.ts';

const from = '127.0.1.2:40000';
const to = '127.0.0.1:8080';

function line(atMs: number, why: string, remote = from): string {
  const start_time = new Date(atMs).toISOString();
  const ends = { downstream_remote_address: remote, downstream_local_address: to };
  return JSON.stringify({ start_time, ...ends, why });
}

function ends(openedAtMs: number): Parameters<AccessLines['of']>[0] {
  return { from, to, openedAtMs, closedAtMs: openedAtMs + 10 };
}

test('a line is found whether it comes before it is asked for or after', async () => {
  const lines = new AccessLines();
  expect(lines.take(line(1005, 'early'))).toBe(true);
  expect(await lines.of(ends(1000), 1000)).toMatchObject({ why: 'early' });
  const late = lines.of(ends(2000), 1000);
  expect(lines.take(line(2005, 'another', '127.0.1.2:40001'))).toBe(true);
  expect(lines.take(line(2005, 'late'))).toBe(true);
  expect(await late).toMatchObject({ why: 'late' });
});

test('a port that is used again belongs to each connection in its time', async () => {
  const lines = new AccessLines();
  const second = lines.of(ends(5000), 1000);
  const first = lines.of(ends(1000), 1000);
  lines.take(line(1003, 'first'));
  lines.take(line(5003, 'second'));
  expect(await first).toMatchObject({ why: 'first' });
  expect(await second).toMatchObject({ why: 'second' });
});

test('a port that is used again at once gives its lines in order', async () => {
  const lines = new AccessLines();
  const waiting = [lines.of(ends(1000), 1000), lines.of(ends(1012), 1000)];
  lines.take(line(1001, 'first'));
  lines.take(line(1013, 'second'));
  expect(await Promise.all(waiting)).toMatchObject([{ why: 'first' }, { why: 'second' }]);
  lines.take(line(2001, 'third'));
  lines.take(line(2013, 'fourth'));
  expect(await lines.of(ends(2000), 1000)).toMatchObject({ why: 'third' });
  expect(await lines.of(ends(2012), 1000)).toMatchObject({ why: 'fourth' });
});

test('a connection that nothing is logged of has no line after a while', async () => {
  const lines = new AccessLines();
  lines.take(line(9000, 'of another time'));
  expect(await lines.of(ends(1000), 20)).toBe(null);
});

test.each(['', 'Error: boom', '{"level":"error"}', '{"start_time"'])('%j is no line', (text) => {
  expect(new AccessLines().take(text)).toBe(false);
});
