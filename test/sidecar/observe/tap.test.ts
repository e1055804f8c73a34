// Which calls a tap sees, how what it asks for is read, and what it may hold.
import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import type { CallRecord } from '#api/call-record.ts';
import { Observed, tapsMax } from '#sidecar/observe/observed.ts';
import type { Ask } from '#sidecar/observe/questions.ts';
import { compileGlob, compileTapFilter, readTapQuery } from '#sidecar/observe/tap-filter.ts';
import { TapQueue } from '#sidecar/observe/tap-queue.ts';
import { Taps } from '#sidecar/observe/taps.ts';
import { endpoint, makeDownstream, makeExchange, makeSession } from '../telemetry/exchanges.ts';

function matches(query: string, x = makeExchange({ path: '/pay/1?a=b', status: 403 })): boolean {
  const read = readTapQuery(new URLSearchParams(query));
  if (typeof read === 'string') throw new Error(read);
  return compileTapFilter(read.filter).exchange(x);
}

function session(query: string): boolean {
  const read = readTapQuery(new URLSearchParams(query));
  return typeof read !== 'string' && compileTapFilter(read.filter).session(makeSession());
}

function say(query: string): unknown {
  return readTapQuery(new URLSearchParams(query));
}

test('each part of a filter must hold', () => {
  const yes = ['', 'direction=inbound', 'method=GET', 'path=/pay/1', 'path=/pay*', 'path=*'];
  const more = ['status=403', 'status=4xx', 'status=4XX', 'identity=spiffe://*/sa/cashier'];
  for (const query of [...yes, ...more, 'status=403&path=/p*&method=GET']) {
    expect([query, matches(query)]).toEqual([query, true]);
  }
  const no = ['direction=outbound', 'method=POST', 'path=/pay', 'path=/x*', 'status=404'];
  for (const query of [...no, 'status=5xx', 'identity=*cashie', 'status=403&method=POST']) {
    expect([query, matches(query)]).toEqual([query, false]);
  }
  const outbound = makeExchange({ downstream: makeDownstream({ direction: 'outbound' }) });
  expect(matches('identity=*', outbound)).toBe(false);
  outbound.endpoint = endpoint;
  expect(matches('identity=*/ns/billing/*', outbound)).toBe(true);
});

test('connections of bytes are for those who ask for nothing that only requests have', () => {
  expect(session('direction=inbound&identity=*cashier')).toBe(true);
  expect([session('method=GET'), session('path=*'), session('status=0')]).toEqual([
    false,
    false,
    false,
  ]);
});

test('a query that means nothing is told what there is', () => {
  expect(say('colour=red')).toMatch(/^there is no "colour"; there are direction, method/);
  expect(say('toString=1')).toMatch(/^there is no "toString"/);
  expect(say('status=forty')).toContain('status is a status, as 403');
  expect(say('path=pay')).toContain('path is a path');
  expect(say('path=/a*b')).toContain('path is a path');
  expect(say('limit=0')).toContain('limit is a whole number from 1');
  expect(say('facts=yes')).toContain('facts is 1 or 0');
  expect(say('method=GET&method=PUT')).toBe('method is given twice');
  expect(say('limit=5&facts=1')).toMatchObject({ limit: 5, filter: { facts: true, path: null } });
  expect(say('')).toMatchObject({ limit: Infinity });
});

test('whatever the query, it is read or refused, and what was read can be asked', () => {
  const names = ['direction', 'method', 'path', 'status', 'identity', 'limit', 'facts'];
  const pair = fc.tuple(
    fc.oneof(fc.constantFrom(...names), fc.string()),
    fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.constantFrom('inbound', '4xx', '0', '1', '/a*', '*a*'),
    ),
  );
  fc.assert(
    fc.property(fc.array(pair, { maxLength: 6 }), (pairs) => {
      const read = readTapQuery(new URLSearchParams(pairs));
      if (typeof read === 'string') return;
      structuredClone(read.filter);
      expect(typeof compileTapFilter(read.filter).exchange(makeExchange())).toBe('boolean');
      expect(read.limit).toBeGreaterThan(0);
    }),
  );
});

test('a glob says what the same regular expression says', () => {
  const text = fc.stringMatching(/^[ab*]{0,12}$/);
  fc.assert(
    fc.property(text, fc.stringMatching(/^[ab]{0,12}$/), (pattern, value) => {
      const expression = new RegExp(`^${pattern.replaceAll('*', '.*')}$`);
      expect(compileGlob(pattern)(value)).toBe(expression.test(value));
    }),
    { numRuns: 500 },
  );
});

test('a queue holds a thousand records or four million characters, and counts what it drops', async () => {
  const queue = new TapQueue();
  for (let i = 0; i < 1003; i++) queue.push(String(i));
  const many = await queue.take();
  expect([many?.lines.length, many?.dropped]).toEqual([1000, 3]);
  for (let i = 0; i < 5; i++) queue.push('x'.repeat(1024 * 1024));
  const large = await queue.take();
  expect([large?.lines.length, large?.dropped]).toEqual([4, 1]);
  expect(await queue.take(1)).toEqual({ lines: [], dropped: 0 });
  const waiting = queue.take();
  queue.push('a');
  queue.push('b');
  expect(await waiting).toEqual({ lines: ['a', 'b'], dropped: 0 });
  queue.push('last');
  queue.end();
  queue.push('late');
  expect(await queue.take()).toMatchObject({ lines: ['last'] });
  expect(await queue.take()).toBeNull();
});

const anything = { direction: null, method: null, path: null, status: null, identity: null };

test('a record is made once for all taps that want the call alike, and for none that does not', async () => {
  const taps = new Taps();
  expect(taps.on).toBe(false);
  await taps.take(1, { ...anything, facts: false });
  await taps.take(2, { ...anything, facts: false });
  await taps.take(3, { ...anything, facts: true });
  await taps.take(4, { ...anything, method: 'POST', facts: true });
  expect(taps.on).toBe(true);
  const made: boolean[] = [];
  taps.exchange(makeExchange(), (facts) => {
    made.push(facts);
    return { id: String(facts) } as CallRecord;
  });
  expect(made).toEqual([false, true]);
  expect((await taps.take(2, { ...anything, facts: false })).lines).toEqual(['{"id":"false"}']);
  for (const id of [1, 2, 3, 4, 5]) taps.close(id);
  expect(taps.on).toBe(false);
});

test('there are at most four taps, one that ends makes room, and a plane that is silent is asked again', async () => {
  const asked: string[] = [];
  let answers = 0;
  const plane = (async (question) => {
    asked.push(question.about);
    if (question.about !== 'tap') return null;
    answers += 1;
    await new Promise((resolve) => setImmediate(resolve));
    return answers === 2 ? null : { lines: [`${answers}`], dropped: 0 };
  }) as Ask;
  const observed = new Observed([plane]);
  const filter = { ...anything, facts: false };
  const taps = await Promise.all(Array.from({ length: tapsMax }, () => observed.tap(filter)));
  expect(await observed.tap(filter)).toBeNull();
  for (const tap of taps) expect((await tap?.queue.take())?.lines.length).toBeGreaterThan(0);
  for (const tap of taps) tap?.close();
  const next = await observed.tap(filter);
  expect(next).not.toBeNull();
  next?.close();
  await expect
    .poll(() => asked.filter((about) => about === 'tap-end').length)
    .toBeGreaterThanOrEqual(5);
});
