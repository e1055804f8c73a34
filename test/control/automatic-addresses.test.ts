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

/** Hosts that have such an address as long as nobody is in their way. */
function hostsAt(pattern: RegExp, among: number): string[] {
  const one = entry(['x.com']);
  const names = Array.from({ length: among }, (_, i) => `n${i}.com`);
  return names.filter((name) => {
    const alone = { ...one, spec: { ...one.spec, hosts: [name] } };
    return pattern.test(given(alone, name)[0] ?? '');
  });
}

test.each(['240.240.1.2/32', '2001:2::102', '2001:0002::0102', '2001:2::102/128'])(
  'an address is taken however it is written: %s',
  (written) => {
    const [host = ''] = hostsAt(/^240\.240\.1\.2$/, 200_000);
    const allocated = allocateAddresses([
      entry([host]),
      entry(['b.com'], { addresses: [written] }),
    ]);
    expect([...allocated.values()]).toEqual([['240.240.1.3', '2001:2::103']]);
  },
);

test('an entry that writes an address moves only the host that has it, however crowded it is', () => {
  const near = hostsAt(/^240\.240\.7\.[12]?\d$/, 60_000);
  const host = fc.constantFrom(...near).map((name) => entry([name]));
  const claim = fc
    .integer({ min: 0, max: 40 })
    .map((last) => entry(['own.com'], { addresses: [`240.240.7.${last}`] }));
  fc.assert(
    fc.property(fc.array(fc.oneof(host, claim), { maxLength: 60 }), (entries) => {
      let before: ReturnType<typeof allocateAddresses> = new Map();
      for (const [i, { spec }] of entries.entries()) {
        const after = allocateAddresses(entries.slice(0, i + 1));
        const stay = [...before].filter(([, [address]]) => address !== spec.addresses[0]);
        expect(stay.map(([key]) => [key, after.get(key)])).toEqual(stay);
        const written = entries.slice(0, i + 1).flatMap((one) => one.spec.addresses);
        const given = [...after.values()].map(([address = '']) => address);
        expect(new Set(given).size).toBe(given.length);
        expect(written.filter((address) => given.includes(address))).toEqual([]);
        before = after;
      }
    }),
  );
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
