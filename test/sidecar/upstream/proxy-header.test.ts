import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import { proxyHeader } from '#sidecar/upstream/proxy-header.ts';

test('version 1 says family, addresses and ports', () => {
  const addresses = { from: { host: '10.0.0.1', port: 4242 }, to: { host: '10.0.0.2', port: 80 } };
  expect(proxyHeader('v1', addresses).toString()).toBe('PROXY TCP4 10.0.0.1 10.0.0.2 4242 80\r\n');
});

test('a connection that calls share is told to be our own', () => {
  expect(proxyHeader('v1', null).toString()).toBe('PROXY UNKNOWN\r\n');
  expect(proxyHeader('v2', null).toString('hex')).toBe('0d0a0d0a000d0a515549540a20000000');
  const mixed = { from: { host: '10.0.0.1', port: 1 }, to: { host: '::1', port: 2 } };
  expect(proxyHeader('v1', mixed).toString()).toBe('PROXY UNKNOWN\r\n');
});

test('version 2 of IPv4', () => {
  const addresses = { from: { host: '10.0.0.1', port: 258 }, to: { host: '10.0.0.2', port: 80 } };
  expect(proxyHeader('v2', addresses).toString('hex')).toBe(
    '0d0a0d0a000d0a515549540a2111000c0a0000010a00000201020050',
  );
});

test('version 2 of IPv6 has the bytes of any notation', () => {
  fc.assert(
    fc.property(fc.ipV6(), fc.nat(65_535), (host, port) => {
      const header = proxyHeader('v2', { from: { host, port }, to: { host: '::1', port: 1 } });
      expect(header).toHaveLength(16 + 36);
      expect(header.subarray(16, 32).toString('hex')).toBe(plainly(host));
      expect(header.readUInt16BE(48)).toBe(port);
    }),
  );
});

/** The sixteen bytes, by the rule of RFC 4291 as it stands. */
function plainly(host: string): string {
  const dotted = /^(.*:)(\d+)\.(\d+)\.(\d+)\.(\d+)$/.exec(host);
  const text =
    dotted === null
      ? host
      : `${dotted[1]}${hex(dotted[2], dotted[3])}:${hex(dotted[4], dotted[5])}`;
  const [head = '', tail] = text.split('::');
  const before = groups(head);
  const after = groups(tail ?? '');
  const zeros = Array.from({ length: 8 - before.length - after.length }, () => '0');
  return [...before, ...zeros, ...after]
    .map((group) => group.padStart(4, '0').toLowerCase())
    .join('');
}

function groups(part: string): string[] {
  return part === '' ? [] : part.split(':');
}

function hex(high = '', low = ''): string {
  return (Number(high) * 256 + Number(low)).toString(16);
}
