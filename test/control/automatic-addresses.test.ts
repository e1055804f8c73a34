import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import { isAutomaticAddress } from '#api/automatic-address.ts';
import type { ServiceEntry } from '#api/kinds/service-entry.ts';
import { serviceEntrySpec } from '#api/kinds/service-entry.ts';
import { allocateAddresses, automaticAddressesOf } from '#control/automatic-addresses.ts';

function entry(
  hosts: readonly string[],
  spec: object = {},
  labels: Record<string, string> = {},
  namespace = 'shop',
): ServiceEntry {
  return {
    apiVersion: 'networking.istio.io/v1',
    kind: 'ServiceEntry',
    metadata: { name: hosts[0] ?? '', namespace, labels, annotations: {} },
    spec: serviceEntrySpec.parse({ hosts, resolution: 'DNS', ...spec }),
  };
}

function given(one: ServiceEntry, host: string): readonly string[] {
  return automaticAddressesOf(allocateAddresses([one]), one, host);
}

test('a host without an address gets one of each family, always the same', () => {
  const one = entry(['db.example.com']);
  const addresses = given(one, 'db.example.com');
  expect(addresses).toEqual([
    expect.stringMatching(/^240\.240\.\d+\.\d+$/),
    expect.stringMatching(/^2001:2::[\da-f]+$/),
  ]);
  expect(addresses.every(isAutomaticAddress)).toBe(true);
  expect(given(entry(['DB.example.com']), 'db.example.com')).toEqual(addresses);
  expect(given(entry(['db.example.com'], {}, {}, 'other'), 'db.example.com')).not.toEqual(
    addresses,
  );
});

test.each([
  ['with an address', entry(['a.com'], { addresses: ['10.0.0.1'] }), 'a.com'],
  ['with the resolution NONE', entry(['a.com'], { resolution: 'NONE' }), 'a.com'],
  ['that is a wildcard', entry(['*.a.com'], { resolution: 'DYNAMIC_DNS' }), '*.a.com'],
  [
    'whose label says so',
    entry(['a.com'], {}, { 'networking.istio.io/enable-autoallocate-ip': 'false' }),
    'a.com',
  ],
])('a host %s gets none', (_, one, host) => {
  expect(given(one, host)).toEqual([]);
});

test('an address that somebody has written is given to nobody else', () => {
  const one = entry(['a.com']);
  const [written = ''] = given(one, 'a.com');
  const allocated = allocateAddresses([one, entry(['b.com'], { addresses: [written] })]);
  const [now = ''] = automaticAddressesOf(allocated, one, 'a.com');
  expect(now).not.toBe(written);
  expect(isAutomaticAddress(now)).toBe(true);
});

test('no two hosts share an address, and a new entry moves none', () => {
  const hosts = fc.uniqueArray(fc.stringMatching(/^[a-z]{1,6}$/), { minLength: 1, maxLength: 400 });
  fc.assert(
    fc.property(hosts, (names) => {
      const entries = names.map((name) => entry([`${name}.com`, `${name}.org`]));
      const before = allocateAddresses(entries.slice(0, -1));
      const after = allocateAddresses(entries);
      for (const [key, addresses] of before) expect(after.get(key)).toEqual(addresses);
      const all = [...after.values()].flat();
      expect(new Set(all).size).toBe(all.length);
      expect(after.size).toBe(2 * names.length);
    }),
    { numRuns: 20 },
  );
});

test('a full block leaves the youngest without, and never ends with a network', () => {
  const names = Array.from({ length: 65_100 }, (_, i) => `h${i}.com`);
  const allocated = allocateAddresses([entry(names)]);
  expect(allocated.size).toBe(256 * 254);
  for (const [address = ''] of allocated.values()) expect(address).not.toMatch(/\.(?:0|255)$/);
}, 60_000);
