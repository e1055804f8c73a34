import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import { parseResolvConf } from '#sidecar/dns/resolv-conf.ts';

test('as the kubelet writes it', () => {
  const text =
    'search Shop.svc.cluster.local svc.cluster.local.\nnameserver 10.96.0.10\noptions ndots:5\n';
  expect(parseResolvConf(text)).toEqual({
    servers: ['10.96.0.10'],
    search: ['shop.svc.cluster.local', 'svc.cluster.local'],
  });
});

test('as people write it: comments, names in place of addresses, more servers than are asked', () => {
  const servers = ['::1', 'ns.example.com', '10.0.0.1', '10.0.0.1', '10.0.0.2', '10.0.0.3'];
  const text = `# nameserver 9.9.9.9\n${servers.map((one) => `nameserver\t${one} # x`).join('\r\n')}\nsearch a\ndomain b`;
  expect(parseResolvConf(text)).toEqual({
    servers: ['::1', '10.0.0.1', '10.0.0.2'],
    search: ['b'],
  });
});

test('whatever is in it, reading never throws', () => {
  fc.assert(
    fc.property(fc.string(), (text) => {
      expect(parseResolvConf(text).servers.length).toBeLessThanOrEqual(3);
    }),
  );
});
