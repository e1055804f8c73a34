// Published smuggling and desync cases on every way: us alone, twice in a row, before and behind other proxies.
import { afterAll, beforeAll, expect, test } from 'vitest';

import { isInstalled, proxyNames } from '#test/fuzz/proxies.ts';
import { Ways, type Outcome } from '#test/fuzz/ways.ts';
import { casesOf } from '#test/fuzz/wire-text.ts';

/** The victim's, and the end of the connection. */
const last = Buffer.from('GET /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
const cases = casesOf('corpus').map(({ name, file, bytes }) => {
  const [, expected = '', title = ''] = /^(refused|taken): (.+)$/.exec(name) ?? [];
  return { title: `${file}: ${title}`, expected, bytes: Buffer.concat([bytes, last]) };
});
const absent = proxyNames.filter((name) => !isInstalled(name));
/** Everything has been answered by then, or waits for bytes that do not come. */
const idleMs = 1_000;

let ways: Ways;
beforeAll(async () => {
  ways = await Ways.open(proxyNames);
}, 60_000);
afterAll(() => ways.close());

test('each case says what we do with it', () => {
  expect(cases.filter(({ expected }) => expected === '')).toEqual([]);
  expect(new Set(cases.map(({ title }) => title)).size).toBe(cases.length);
  expect(cases.length).toBeGreaterThan(200);
});

for (const name of absent) test(`${name} is not installed: no case goes through it`, () => {});

test.concurrent.each(cases)(
  '$title is $expected by us, and no two in a row disagree',
  async (one) => {
    const { expected, bytes } = one;
    const names = ways.names.filter((name) => name.includes('ours'));
    const outcomes = await Promise.all(names.map((name) => ways.send(name, bytes, idleMs)));
    for (const [i, { wrong }] of outcomes.entries()) {
      expect({ way: names[i], wrong }).toEqual({ way: names[i], wrong: [] });
    }
    for (const [i, name] of names.entries()) {
      if (name === 'ours' || name === 'ours>ours') expect(summaryOf(outcomes[i]!)).toBe(expected);
      if (expected === 'refused' && name.startsWith('ours>')) {
        expect(summaryOf(outcomes[i]!)).toBe('refused');
      }
    }
  },
);

function summaryOf({ requests, statuses }: Outcome): string {
  if (requests.some(({ target }) => target.startsWith('/admin'))) return 'smuggled';
  if (requests.every(({ target }) => target === '/last'))
    return statuses[0]! >= 400 ? 'refused' : 'silent';
  return statuses[0] === 200 ? 'taken' : `answered with ${statuses[0]}`;
}
