import { BlockList, isIP } from 'node:net';

import {
  assert,
  constantFrom,
  dictionary,
  integer,
  ipV4,
  ipV6,
  oneof,
  property,
  string as anyString,
  tuple,
} from 'fast-check';
import { expect, test } from 'vitest';

import { SettingsError } from '#runtime/settings.ts';
import { captureInitFields, cidr, readCaptureInitSettings } from '#sidecar/capture/settings.ts';

test.each([
  ['10.1.2.3/8', '10.0.0.0/8'],
  ['1.2.3.4', '1.2.3.4/32'],
  ['0.0.0.0/0', '0.0.0.0/0'],
  ['fd00:1:2::3/32', 'fd00:1::/32'],
  ['::ffff:1.2.3.4/128', '::ffff:102:304/128'],
  ['2001:db8:0:0:1:0:0:1/128', '2001:db8::1:0:0:1/128'],
])('the network %s is %s', (text, network) => {
  expect(cidr(text)).toBe(network);
});

test.each(['10.0.0.0/33', 'fd00::/129', 'x/8', '10.0.0.0/', '10.0.0.0/8/8', 'fe80::1%eth0/64'])(
  'the network %s is refused',
  (text) => expect(() => cidr(text)).toThrow('networks as'),
);

test('a network has the address that it was written with, and is its own network', () => {
  const written = oneof(
    tuple(ipV4(), integer({ min: 0, max: 32 })),
    tuple(ipV6(), integer({ min: 0, max: 128 })),
  );
  assert(
    property(written, ([ip, bits]) => {
      const network = cidr(`${ip}/${bits}`);
      const [base = ''] = network.split('/');
      const family = isIP(base) === 6 ? 'ipv6' : 'ipv4';
      const list = new BlockList();
      list.addSubnet(base, bits, family);
      expect(list.check(ip, family)).toBe(true);
      expect(cidr(network)).toBe(network);
    }),
  );
});

test('any environment gives settings or names every mistake', () => {
  const names = captureInitFields.map(({ env }) => env);
  const text = oneof(
    anyString(),
    constantFrom('*', '', '80', '80,', '1.2.3.4/8', '*,80', '-1', '10.0.0.0/8, fd00::/8'),
  );
  assert(
    property(dictionary(constantFrom(...names), text), (env) => {
      expect(['settings', 'SettingsError']).toContain(outcomeOf(env));
    }),
  );
});

function outcomeOf(env: Record<string, string>): string {
  try {
    return readCaptureInitSettings(env).inboundPort > 0 ? 'settings' : 'nothing';
  } catch (error) {
    return error instanceof SettingsError ? error.name : String(error);
  }
}
