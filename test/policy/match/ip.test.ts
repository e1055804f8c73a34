// Addresses and blocks against Node's own reading of them.
import { BlockList, isIP } from 'node:net';

import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import { IpTree } from '#policy/match/ip-tree.ts';
import { containsIp, parseIpBlock, plainPeerIp, readIp, type IpBlock } from '#policy/match/ip.ts';

const v4 = fc.ipV4();
const v6 = fc.oneof(fc.ipV6(), fc.constantFrom('::', '::1', '2001:db8::', '::ffff:10.0.0.1'));
const text = fc.oneof(
  v4,
  v6,
  fc.string({ unit: fc.constantFrom('0', '1', '2', '5', '9', 'a', 'F', ':', '.'), maxLength: 20 }),
  fc.constantFrom('', '1.2.3', '1.2.3.4.5', '01.2.3.4', '1::2::3', ':::', '::1%eth0', '1.2.3.256'),
);

test('a text is an address here when it is one for Node', () => {
  fc.assert(
    fc.property(text, (value) => {
      expect(readIp(value).version).toBe(value.includes('%') ? 0 : isIP(value));
    }),
    { numRuns: 4000, seed: 3 },
  );
});

const block = fc.oneof(
  fc.tuple(v4, fc.nat(32)).map(([address, bits]) => `${address}/${bits}`),
  fc.tuple(v6, fc.nat(128)).map(([address, bits]) => `${address}/${bits}`),
  v4,
  v6,
);

test('a block holds the addresses that it holds for Node, and a tree finds every block that does', () => {
  fc.assert(
    fc.property(fc.array(block, { minLength: 1, maxLength: 9 }), fc.oneof(v4, v6), (blocks, ip) => {
      const parsed = blocks.map((value) => parseIpBlock(value) as IpBlock);
      const holding = blocks.filter((value) => holds(value, ip));
      expect(blocks.filter((_, i) => containsIp(parsed[i] as IpBlock, readIp(ip)))).toEqual(
        holding,
      );
      const tree = new IpTree<string>();
      for (const [i, value] of blocks.entries()) tree.insert(parsed[i] as IpBlock, value);
      const found: string[] = [];
      tree.walk(readIp(ip), { visit: (items) => void found.push(...items) });
      expect(found.toSorted()).toEqual(holding.toSorted());
    }),
    { numRuns: 1000, seed: 4 },
  );
});

test.each(['', '/', '10.0.0.0/33', '10.0.0.0/', '10.0.0.0/-1', '10.0.0.0/08', '::/129', 'a/8'])(
  '%j is no block',
  (value) => {
    expect(parseIpBlock(value)).toBeNull();
  },
);

test('a dual-stack socket shows an IPv4 peer as IPv6, which policies do not', () => {
  expect(plainPeerIp('::ffff:10.0.0.1')).toBe('10.0.0.1');
  expect(plainPeerIp('::1')).toBe('::1');
});

function holds(value: string, ip: string): boolean {
  const [base = '', bits] = value.split('/');
  const family = isIP(base) === 4 ? 'ipv4' : 'ipv6';
  if (isIP(ip) !== isIP(base)) return false;
  const list = new BlockList();
  list.addSubnet(base, Number(bits ?? (family === 'ipv4' ? 32 : 128)), family);
  return list.check(ip, family);
}
