import { BlockList, isIP } from 'node:net';

import fc from 'fast-check';
import { expect, test } from 'vitest';

import { SettingsError } from '#runtime/settings.ts';
import {
  captureInitFields,
  cidr,
  listenAddress,
  readCaptureInitSettings,
} from '#sidecar/capture/settings.ts';

test('a port alone is the port on every address', () => {
  expect(listenAddress(':15006')).toEqual({ host: '', port: 15_006 });
  expect(listenAddress('[::1]:1')).toEqual({ host: '::1', port: 1 });
  for (const text of [':', ':x', ':70000', '15006']) {
    expect(() => listenAddress(text)).toThrow('host:port');
  }
});

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
  const written = fc.oneof(
    fc.tuple(fc.ipV4(), fc.integer({ min: 0, max: 32 })),
    fc.tuple(fc.ipV6(), fc.integer({ min: 0, max: 128 })),
  );
  fc.assert(
    fc.property(written, ([ip, bits]) => {
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
  const text = fc.oneof(
    fc.string(),
    fc.constantFrom('*', '', '80', '80,', '1.2.3.4/8', '*,80', '-1', '10.0.0.0/8, fd00::/8'),
  );
  fc.assert(
    fc.property(fc.dictionary(fc.constantFrom(...names), text), (env) => {
      try {
        const settings = readCaptureInitSettings(env);
        expect(settings.inboundPort).toBeGreaterThan(0);
      } catch (error) {
        expect(error).toBeInstanceOf(SettingsError);
      }
    }),
  );
});
