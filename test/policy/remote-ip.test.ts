// The address behind remoteIpBlocks: the last of X-Forwarded-For, or the peer.
import { expect, test } from 'vitest';

import { remoteIp } from '#policy/remote-ip.ts';

test.each([
  [[], '10.0.0.7'],
  [['203.0.113.7'], '203.0.113.7'],
  [['203.0.113.7, 198.51.100.9'], '198.51.100.9'],
  [['203.0.113.7', '198.51.100.9'], '198.51.100.9'],
  [['203.0.113.7', ''], '203.0.113.7'],
  [['garbage,2001:db8::1'], '2001:db8::1'],
  [['203.0.113.7, garbage'], '10.0.0.7'],
  [['203.0.113.7:1234'], '10.0.0.7'],
  [['203.0.113.7,'], '10.0.0.7'],
  [['[::1]'], '10.0.0.7'],
  [['203.0.113.007'], '10.0.0.7'],
  [[''], '10.0.0.7'],
])('%j from 10.0.0.7 is %s', (lines, address) => {
  expect(remoteIp(lines, '10.0.0.7')).toBe(address);
});
