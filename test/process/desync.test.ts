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

test.each(proxyNames)('%s is on its ways, or said to be missing', (name) => {
  if (absent.includes(name)) console.warn(`${name} is not installed: no case goes through it`);
  expect(ways.names.includes(name)).toBe(!absent.includes(name));
});

test.concurrent.each(cases)(
  '$title is $expected by us, and no two in a row disagree',
  async ({ expected, bytes }) => {
    const names = ways.names.filter((name) => name.includes('ours'));
    const outcomes = await Promise.all(names.map((name) => ways.send(name, bytes, idleMs)));
    const seen = names.map((name, i) => ({
      name,
      wrong: outcomes[i]!.wrong,
      what: isDecidedByUs(name, expected) ? summaryOf(outcomes[i]!) : expected,
    }));
    expect(seen).toEqual(names.map((name) => ({ name, wrong: [], what: expected })));
  },
);

test('nothing hidden has come after its client had gone', () => {
  expect(ways.takeLate().filter(([way]) => way.includes('ours'))).toEqual([]);
});

/** Another proxy before us may refuse or mend a case, one behind us may refuse what we take. */
function isDecidedByUs(way: string, expected: string): boolean {
  return (
    way === 'ours' || way === 'ours>ours' || (way.startsWith('ours>') && expected === 'refused')
  );
}

function summaryOf({ requests, statuses }: Outcome): string {
  if (requests.some(({ target }) => target.startsWith('/admin'))) return 'smuggled';
  if (requests.every(({ target }) => target === '/last'))
    return statuses[0]! >= 400 ? 'refused' : 'silent';
  return statuses[0] === 200 ? 'taken' : `answered with ${statuses[0]}`;
}
