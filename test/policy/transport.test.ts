// Plaintext, mutual TLS or neither, by PeerAuthentication and trust domain; then HTTP or TCP.
import { expect, test } from 'vitest';

import type { PeerAuthentication } from '#api/kinds/peer-authentication.ts';
import { admitPeer, admitTransport, chooseProtocol } from '#policy/transport.ts';

import { compile, peerAuthentication } from './making.ts';

const istio = { alpn: ['istio-http/1.1', 'istio', 'http/1.1'], sni: '' };
const foreign = { alpn: ['http/1.1'], sni: '' };
const mode = (name: 'UNSET' | 'DISABLE' | 'PERMISSIVE' | 'STRICT') => ({ mtls: { mode: name } });
const own = { selector: { matchLabels: { app: 'cart' } } };

test('by default both plaintext and mutual TLS are taken, and foreign TLS is relayed', () => {
  const policies = compile([]);
  expect(admitTransport(policies, 8080, null).kind).toBe('plaintext');
  expect(admitTransport(policies, 8080, istio).kind).toBe('terminate');
  expect(admitTransport(policies, 8080, foreign).kind).toBe('opaque');
  expect(admitTransport(policies, 8080, { alpn: [], sni: '' }).kind).toBe('opaque');
});

test('STRICT refuses plaintext with a reason, and terminates any TLS', () => {
  const policies = compile([peerAuthentication('strict', mode('STRICT'))]);
  expect(admitTransport(policies, 8080, null)).toEqual({
    kind: 'refused',
    reason:
      'plaintext to port 8080, where PeerAuthentication shop/strict wants mutual TLS (STRICT)',
    at: null,
  });
  expect(admitTransport(policies, 7777, null).kind).toBe('refused');
  expect(admitTransport(policies, 8080, foreign).kind).toBe('terminate');
});

test('DISABLE refuses TLS to an HTTP port, and relays it to any other', () => {
  const policies = compile([peerAuthentication('off', mode('DISABLE'))]);
  expect(admitTransport(policies, 8080, null).kind).toBe('plaintext');
  expect(admitTransport(policies, 8080, istio).kind).toBe('refused');
  expect(admitTransport(policies, 9000, istio).kind).toBe('opaque');
});

const root = 'istio-system';
test.each<[string, PeerAuthentication[], string, string]>([
  [
    'the workload over the namespace',
    [
      peerAuthentication('n', mode('STRICT')),
      peerAuthentication('w', { ...own, ...mode('DISABLE') }),
    ],
    'DISABLE',
    'shop/w',
  ],
  [
    'the namespace over the mesh',
    [peerAuthentication('m', mode('STRICT'), root), peerAuthentication('n', mode('PERMISSIVE'))],
    'PERMISSIVE',
    'shop/n',
  ],
  [
    'what is unset from the mesh',
    [peerAuthentication('m', mode('STRICT'), root), peerAuthentication('n', mode('UNSET'))],
    'STRICT',
    `${root}/m`,
  ],
  [
    'the oldest of a namespace',
    [peerAuthentication('old', mode('STRICT')), peerAuthentication('new', mode('DISABLE'))],
    'STRICT',
    'shop/old',
  ],
  [
    'nothing of a selector in the root namespace',
    [peerAuthentication('m', { ...own, ...mode('STRICT') }, root)],
    'PERMISSIVE',
    '',
  ],
  [
    'nothing of another namespace',
    [peerAuthentication('x', mode('STRICT'), 'x')],
    'PERMISSIVE',
    '',
  ],
  [
    'nothing of a selector that does not fit',
    [peerAuthentication('w', { selector: { matchLabels: { app: 'x' } }, ...mode('STRICT') })],
    'PERMISSIVE',
    '',
  ],
])('a port takes %s', (_, policies, wanted, policy) => {
  expect(compile(policies).mtls(8080)).toEqual({ mode: wanted, policy, at: null });
});

test('a port of its own needs a selector, and inherits when unset', () => {
  const portLevelMtls = {
    '8080': { mode: 'DISABLE' as const },
    '9000': { mode: 'UNSET' as const },
  };
  const spec = { ...mode('STRICT'), portLevelMtls };
  const selected = compile([peerAuthentication('w', { ...own, ...spec })]);
  expect([8080, 9000, 7777].map((port) => selected.mtls(port).mode)).toEqual([
    'DISABLE',
    'STRICT',
    'STRICT',
  ]);
  expect(compile([peerAuthentication('n', spec)]).mtls(8080).mode).toBe('STRICT');
});

test('a peer must be of the trust domain or of an alias', () => {
  const policies = compile([], { trustDomain: 'td1', trustDomainAliases: ['old-td'] });
  expect(admitPeer(policies, ['spiffe://td1/ns/a/sa/b']).ok).toBe(true);
  expect(admitPeer(policies, ['https://x', 'spiffe://old-td/x']).ok).toBe(true);
  expect(admitPeer(policies, ['spiffe://cluster.local/ns/a/sa/b'])).toEqual({
    ok: false,
    reason: 'the peer has spiffe://cluster.local/ns/a/sa/b; trusted domains are td1, old-td',
  });
  expect(admitPeer(policies, ['spiffe://td12/ns/a/sa/b']).ok).toBe(false);
  expect(admitPeer(policies, ['spiffe://TD1/ns/a/sa/b']).ok).toBe(false);
  expect(admitPeer(policies, ['spiffe://td1']).ok).toBe(false);
  expect(admitPeer(policies, []).ok).toBe(false);
});

test('a declared port is what it is declared, others go by their first bytes or ALPN', () => {
  const policies = compile([]);
  expect(chooseProtocol(policies, 8080, 'plaintext', '', 'other')).toBe('http');
  expect(chooseProtocol(policies, 9000, 'mtls', 'istio-http/1.1', 'http1')).toBe('tcp');
  expect(chooseProtocol(policies, 8080, 'opaque', '', 'other')).toBe('tcp');
  expect(chooseProtocol(policies, 8090, 'plaintext', '', 'http1')).toBe('http');
  expect(chooseProtocol(policies, 7777, 'plaintext', '', 'http2')).toBe('http');
  expect(chooseProtocol(policies, 7777, 'plaintext', '', 'other')).toBe('tcp');
  expect(chooseProtocol(policies, 7777, 'mtls', 'istio-h2', 'http2')).toBe('http');
  expect(chooseProtocol(policies, 7777, 'mtls', 'istio', 'http1')).toBe('tcp');
  expect(chooseProtocol(policies, 7777, 'mtls', 'http/1.1', 'http1')).toBe('tcp');
});
