// The state as text: whole or refused, and no refusal quotes a key.
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import type { IssuerRecord } from '#ca/rotation.ts';
import { formatState, parseState } from '#ca/stores/state.ts';
import { DamagedState } from '#ca/stores/store.ts';

const record: IssuerRecord = {
  id: '0123456789abcdef',
  origin: 'self-signed',
  role: 'signing',
  certificatePem: 'certificate',
  intermediatesPem: '',
  rootPem: 'root',
  keyPem: 'very secret key',
  crossPem: '',
  publishedAtMs: 1,
  signingAtMs: 2,
  rootNotAfterMs: 3,
  leafLifeMs: 4,
  leavesEndMs: 0,
};

test('what was written is read', () => {
  const records = [record, { ...record, id: 'f', role: 'published' } as const];
  expect(parseState(formatState(records), 'here')).toEqual(records);
});

test('a state in which nobody signs, or of another version, is refused with its place', () => {
  const retired = formatState([{ ...record, role: 'retired' }]);
  expect(() => parseState(retired, 'Secret a/b')).toThrow('Secret a/b is damaged');
  expect(() => parseState('{"version":2}', 'here')).toThrow('here has version 2, 1 is known');
  expect(() => parseState('{"version":1,"issuers":[]}', 'here')).toThrow(DamagedState);
});

test('cut anywhere or with any text in it, it is refused as damaged, and the key is not told', () => {
  const text = formatState([record]);
  const cut = fc.nat(text.length - 2).map((at) => text.slice(0, at));
  const field = fc.constantFrom(...Object.keys(record));
  const changed = fc
    .tuple(field, fc.constantFrom<unknown>(null, undefined, [], {}))
    .map(([name, value]) =>
      JSON.stringify({ version: 1, issuers: [{ ...record, [name]: value }] }),
    );
  fc.assert(
    fc.property(fc.oneof(cut, changed, fc.json(), fc.string()), (given) => {
      let told: unknown;
      try {
        parseState(given, 'here');
      } catch (error) {
        told = error;
      }
      expect(told).toBeInstanceOf(DamagedState);
      expect(String(told)).not.toContain('secret');
    }),
    { numRuns: 500, seed: 8 },
  );
});
