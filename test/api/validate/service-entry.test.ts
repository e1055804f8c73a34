import { expect, test } from 'vitest';

import { said } from './saying.ts';

const port = 'ports: [{ number: 443, name: tls, protocol: TLS }]';
const entry = (text: string): string[] =>
  said('ServiceEntry', `{ hosts: [a.b], ${port}, ${text} }`);

test.each([
  'resolution: NONE',
  'resolution: NONE, addresses: [10.0.0.0/8]',
  'resolution: STATIC, endpoints: [{ address: 10.0.0.1 }, { address: "::1" }]',
  'resolution: STATIC, endpoints: [{ address: unix:///s }]',
  'resolution: STATIC, workloadSelector: { labels: { a: b } }',
  'resolution: DNS',
  'resolution: DNS, addresses: [10.0.0.1]',
  'resolution: DNS, endpoints: [{ address: x.y, ports: { tls: 1 } }]',
  'resolution: DNS_ROUND_ROBIN, endpoints: [{ address: x.y }]',
  'exportTo: ["~"]',
  'exportTo: [other, "."]',
])('%s is valid', (text) => {
  expect(entry(text)).toEqual([]);
});

const wildcardEntry = (text: string): string[] =>
  said('ServiceEntry', `{ hosts: ["*.b"], ${port}, ${text} }`);

test('a wildcard needs a resolution that goes without its name', () => {
  expect(wildcardEntry('resolution: DYNAMIC_DNS')).toEqual([]);
  expect(wildcardEntry('resolution: NONE')).toEqual([]);
  expect(wildcardEntry('resolution: DNS')).toEqual(['"*.b" cannot be looked up in DNS']);
  expect(wildcardEntry('resolution: DNS, endpoints: [{ address: x.y }]')).toEqual([]);
});

test.each([
  [
    'resolution: NONE, endpoints: [{ address: 10.0.0.1 }]',
    'with the resolution NONE there are no endpoints',
  ],
  [
    'resolution: DNS, addresses: [10.0.0.0/8]',
    'blocks of addresses go with the resolutions NONE and STATIC only',
  ],
  ['resolution: STATIC, endpoints: [{ address: a.b }]', '"a.b" is no IP address'],
  ['resolution: STATIC, endpoints: [{ address: unix://s }]', '"s" is no absolute path of a socket'],
  [
    'resolution: STATIC, endpoints: [{ address: 10.0.0.1, ports: { x: 1 } }]',
    'the entry has no port "x"',
  ],
  [
    'resolution: STATIC, endpoints: [{ address: 10.0.0.1, ports: { tls: 0 } }]',
    'a port is a number from 1 to 65535',
  ],
  [
    'resolution: STATIC, endpoints: [{ address: 10.0.0.1, locality: a/b/c/d }]',
    '"a/b/c/d" is no region/zone/subzone',
  ],
  [
    'resolution: STATIC, endpoints: [{ address: 10.0.0.1 }], workloadSelector: { labels: { a: b } }',
    'only one of workloadSelector and endpoints may be set',
  ],
  [
    'resolution: DNS_ROUND_ROBIN, endpoints: [{ address: a.b }, { address: c.d }]',
    'DNS_ROUND_ROBIN has one endpoint at most',
  ],
  [
    'resolution: DNS, endpoints: [{ address: "a b" }]',
    'address: "a b" is no domain name: its label "a b" is none',
  ],
  ['resolution: DYNAMIC_DNS', 'DYNAMIC_DNS is for wildcards'],
  ['addresses: [10.0.0.300]', 'addresses: "10.0.0.300" is no IP address'],
  ['exportTo: ["~", a]', 'exportTo has "~", and other namespaces beside it'],
])('%s: %s', (text, words) => {
  expect(entry(text)).toEqual([words]);
});

test.each([
  ['{ hosts: ["*"] }', 'a host may not be * alone'],
  ['{ hosts: ["*a.b"] }', '"*a.b" has a * that is no label of its own'],
  ['{ hosts: ["a_b"] }', 'hosts: "a_b" is no domain name: its first label "a_b" is none'],
  [
    '{ hosts: [a], ports: [{ number: 1, name: x }, { number: 2, name: x }] }',
    'there are two ports "x"',
  ],
  [
    '{ hosts: [a], ports: [{ number: 1, name: x }, { number: 1, name: z }] }',
    'port 1 is there twice',
  ],
  ['{ hosts: [a], ports: [{ number: 0, name: x }] }', 'a port is a number from 1 to 65535'],
  ['{ hosts: [a], ports: [{ number: 1 }] }', 'a port needs a name'],
  [
    '{ hosts: [a], ports: [{ number: 1, name: x, protocol: SPDY }] }',
    '"SPDY" is no known protocol',
  ],
  [
    '{ hosts: [a, b], ports: [{ number: 1, name: x, protocol: TCP }] }',
    'warning: several hosts without addresses cannot be told apart on a port that is not HTTP or TLS',
  ],
  [
    '{ hosts: [a], ports: [{ number: 1, name: x, protocol: HTTP, targetPort: 2 }] }',
    'warning: with the resolution NONE calls go where they were going: targetPort is ignored',
  ],
])('%s: %s', (spec, words) => {
  expect(said('ServiceEntry', spec)).toEqual([words]);
});

test('a dynamic name needs a protocol that says it', () => {
  const spec =
    '{ hosts: ["*.b"], resolution: DYNAMIC_DNS, ports: [{ number: 1, name: x, protocol: TCP }] }';
  expect(said('ServiceEntry', spec)).toEqual([
    'DYNAMIC_DNS needs a protocol that names its host: HTTP or TLS',
  ]);
});

test('a WorkloadEntry has an address', () => {
  expect(said('WorkloadEntry', '{ address: 10.0.0.1, ports: { http: 80 }, weight: 2 }')).toEqual(
    [],
  );
  expect(said('WorkloadEntry', '{ address: vm.example }')).toEqual([]);
  expect(said('WorkloadEntry', '{}')).toEqual(['a workload needs an address']);
  expect(said('WorkloadEntry', '{ address: "a b" }')[0]).toContain('is no domain name');
  expect(said('WorkloadEntry', '{ address: unix:///s, ports: { http: 80 } }')).toEqual([
    'a socket of a file has no ports',
  ]);
});
