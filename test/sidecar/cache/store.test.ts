import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import { ResponseStore, type Entry } from '#sidecar/cache/store.ts';
import { lifeOf } from '#sidecar/cache/freshness.ts';
import { StoredHead } from '#sidecar/stored-head.ts';

function entry(bytes: number): Entry {
  const head = new StoredHead(200, []);
  return { head, body: Buffer.alloc(bytes), life: lifeOf(head, 0, 0, 1), askedAtMs: 0 };
}

const only = (): string => '';

function of(value: string): (vary: readonly string[]) => string {
  return (vary) => vary.map((name) => `${name}=${value}`).join();
}

test('what was unused for longest goes first, and what is too large is not kept at all', () => {
  const store = new ResponseStore(4000);
  for (const name of ['a', 'b', 'c']) store.put(name, [], only, entry(600));
  expect(store.find('a', only)).not.toBeNull();
  store.put('d', [], only, entry(600));
  expect(['a', 'b', 'c', 'd'].map((name) => store.find(name, only) !== null)).toEqual([
    true,
    false,
    true,
    true,
  ]);
  expect(store.put('a', [], only, entry(5000))).toBe(false);
  expect(store.find('a', only)).toBeNull();
});

test('variants are apart; another Vary begins anew', () => {
  const store = new ResponseStore(100_000);
  const [de, en] = [entry(1), entry(2)];
  store.put('a', ['lang'], of('de'), de);
  store.put('a', ['lang'], of('en'), en);
  expect([store.find('a', of('de')), store.find('a', of('en'))]).toEqual([de, en]);
  expect(store.find('a', of('fr'))).toBe('vary');
  store.put('a', [], of('de'), en);
  expect(store.find('a', of('fr'))).toBe(en);
  store.remove('a');
  expect([store.find('a', of('de')), store.bytes, store.size]).toEqual([null, 0, 0]);
});

test('it never keeps more than its bytes, and counts them right, whatever is done', () => {
  const step = fc.record({
    kind: fc.constantFrom('put', 'find', 'remove'),
    target: fc.constantFrom('a', 'b', 'c', 'd'),
    variant: fc.constantFrom('x', 'y', 'z'),
    vary: fc.constantFrom<string[]>([], ['v']),
    bytes: fc.nat(2000),
  });
  fc.assert(
    fc.property(fc.array(step), (steps) => {
      const store = new ResponseStore(5000);
      for (const { kind, target, variant, vary, bytes } of steps) {
        const variantOf = (): string => variant;
        if (kind === 'put') store.put(target, vary, variantOf, entry(bytes));
        else if (kind === 'find') store.find(target, variantOf);
        else store.remove(target);
        expect(store.bytes).toBeLessThanOrEqual(5000);
        expect(store.bytes > 0).toBe(store.size > 0);
      }
      for (const target of ['a', 'b', 'c', 'd']) store.remove(target);
      expect([store.bytes, store.size]).toEqual([0, 0]);
    }),
  );
});
