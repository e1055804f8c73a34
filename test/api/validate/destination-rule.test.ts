import { expect, test } from 'vitest';

import { said } from './saying.ts';

const rule = (text: string): string[] => said('DestinationRule', text);
const policy = (text: string): string[] => rule(`{ host: a.b, trafficPolicy: ${text} }`);
const balancer = (text: string): string[] => policy(`{ loadBalancer: ${text} }`);

test.each(['web', 'web.shop.svc.cluster.local', '"*.example.com"', '"*"', '"*.local"', 'A.B.'])(
  'the host %s is valid',
  (host) => {
    expect(rule(`{ host: ${host} }`)).toEqual([]);
  },
);

test.each([
  ['{}', 'host: a name is missing'],
  ['{ host: "a b" }', 'host: "a b" is no domain name: its first label "a b" is none'],
  ['{ host: "a.*.b" }', 'host: "a.*.b" is no domain name: its label "*" is none'],
  [`{ host: ${'a'.repeat(256)} }`, 'host: a name has at most 255 characters'],
  ['{ host: a, subsets: [{}] }', 'a subset needs a name'],
  ['{ host: a, subsets: [{ name: a.b }] }', '"a.b" is no name of a subset'],
  ['{ host: a, subsets: [{ name: v }, { name: v }] }', 'there are two subsets "v"'],
  ['{ host: a, subsets: [{ name: v, labels: { a: "b c" } }] }', '"b c" is no value of a label'],
  ['{ host: a, subsets: [{ name: v, labels: { a/b/c: d } }] }', '"a/b/c" is no name of a label'],
  ['{ host: a, exportTo: ["*", shop] }', 'exportTo has "*", and other namespaces beside it'],
  ['{ host: a, exportTo: [".", shop] }', 'exportTo names shop twice'],
  ['{ host: a, exportTo: ["~"] }', '"~" is no namespace'],
  [
    '{ host: a, workloadSelector: { matchLabels: { a: b } }, exportTo: ["*"] }',
    'a rule with a workloadSelector is for callers of its own namespace alone',
  ],
  [
    '{ host: a, workloadSelector: { matchLabels: { a: "*" } } }',
    '"a: *" has a *, and selectors know no wildcards',
  ],
  [
    '{ host: a, workloadSelector: {} }',
    'warning: a selector without labels selects every workload, as if it were not there',
  ],
])('%s: %s', (spec, words) => {
  expect(rule(spec)).toEqual([words]);
});

test.each([
  ['{}', 'a trafficPolicy must say something'],
  ['{ portLevelSettings: [{ tls: {} }] }', 'portLevelSettings need a port'],
  ['{ portLevelSettings: [{ port: { number: 80 } }] }', 'portLevelSettings must say something'],
  ['{ connectionPool: {} }', 'a connectionPool needs tcp or http'],
  ['{ connectionPool: { http: { maxRetries: -1 } } }', 'maxRetries may not be negative'],
  ['{ connectionPool: { tcp: { maxConnections: -1 } } }', 'maxConnections may not be negative'],
  [
    '{ connectionPool: { tcp: { connectTimeout: 5 } } }',
    'spec.trafficPolicy.connectionPool.tcp.connectTimeout must be a string, and 5 is a number',
  ],
  ['{ connectionPool: { tcp: { connectTimeout: 0s } } }', 'connectTimeout: "0s" is less than 1ms'],
  [
    '{ connectionPool: { tcp: { connectTimeout: 1us } } }',
    'connectTimeout: "1us" is finer than a millisecond',
  ],
  [
    '{ connectionPool: { http: { h2UpgradePolicy: UPGRADE, useClientProtocol: true } } }',
    'UPGRADE and useClientProtocol contradict each other',
  ],
  ['{ outlierDetection: { interval: 0s } }', 'interval: "0s" is less than 1ms'],
  [
    '{ outlierDetection: { maxEjectionPercent: 101 } }',
    'maxEjectionPercent is a percentage from 0 to 100',
  ],
  [
    '{ outlierDetection: { consecutiveLocalOriginFailures: 3 } }',
    'consecutiveLocalOriginFailures count nothing while they are not counted apart',
  ],
  [
    '{ outlierDetection: { consecutiveErrors: 3 } }',
    'warning: consecutiveErrors is deprecated and ignored',
  ],
  ['{ tls: { mode: MUTUAL, privateKey: /k } }', 'MUTUAL needs a clientCertificate'],
  ['{ tls: { mode: MUTUAL, clientCertificate: /c } }', 'MUTUAL needs a privateKey'],
  [
    '{ tls: { mode: SIMPLE, credentialName: c, caCertificates: /a } }',
    'a credentialName stands in place of files, and not beside them',
  ],
  [
    '{ tls: { mode: SIMPLE, insecureSkipVerify: true, subjectAltNames: [] } }',
    'with insecureSkipVerify nothing of the certificate is looked at',
  ],
  [
    '{ tunnel: { targetHost: a.b, targetPort: 1 }, proxyProtocol: {} }',
    'only one of tunnel and proxyProtocol may be set',
  ],
  ['{ tunnel: { targetHost: a.b } }', 'targetPort is missing'],
  ['{ tunnel: { protocol: GET, targetHost: a.b, targetPort: 1 } }', '"GET" is no way to a tunnel'],
  [
    '{ tunnel: { targetHost: "a b", targetPort: 1 } }',
    'targetHost: "a b" is no domain name: its label "a b" is none',
  ],
])('trafficPolicy %s: %s', (text, words) => {
  expect(policy(text)).toEqual([words]);
});

test.each([
  ['{ connectionPool: { tcp: { idleTimeout: 0s } } }'],
  ['{ outlierDetection: {} }'],
  ['{ tls: { mode: MUTUAL, credentialName: c } }'],
  ['{ tls: { mode: MUTUAL, credentialName: c, insecureSkipVerify: true } }'],
  ['{ proxyProtocol: {} }'],
  ['{ portLevelSettings: [{ port: { number: 80 }, tls: {} }] }'],
  ['{ loadBalancer: { consistentHash: { httpCookie: { name: c, ttl: 0s } } } }'],
])('trafficPolicy %s is valid', (text) => {
  expect(policy(text)).toEqual([]);
});

test.each([
  [
    '{ simple: RANDOM, consistentHash: { useSourceIp: true } }',
    'only one of simple and consistentHash may be set',
  ],
  ['{ consistentHash: {} }', 'a consistentHash needs what it hashes'],
  [
    '{ consistentHash: { useSourceIp: true, httpHeaderName: a } }',
    'only one key of a consistentHash may be set',
  ],
  ['{ consistentHash: { httpCookie: {} } }', 'the cookie needs a name'],
  [
    '{ consistentHash: { useSourceIp: true, maglev: { tableSize: 100 } } }',
    'tableSize is a prime below 5000011, and 100 is none',
  ],
  [
    '{ consistentHash: { useSourceIp: true, maglev: { tableSize: 5000011 } } }',
    'tableSize is a prime below 5000011, and 5000011 is none',
  ],
  [
    '{ consistentHash: { useSourceIp: true, maglev: {}, ringHash: {} } }',
    'only one of ringHash, maglev and minimumRingSize may be set',
  ],
  [
    '{ consistentHash: { useSourceIp: true, minimumRingSize: 5 } }',
    'warning: minimumRingSize is deprecated',
  ],
  ['{ warmup: {} }', 'a warmup needs a duration'],
  ['{ warmup: { duration: 1s, minimumPercent: 101 } }', 'minimumPercent is at most 100'],
  ['{ warmup: { duration: 1s, aggression: 0.5 } }', 'aggression is at least 1'],
])('loadBalancer %s: %s', (text, words) => {
  expect(balancer(text)).toEqual([words]);
});

test.each([
  ['{ distribute: [{ from: a, to: { a: 100 } }] }', []],
  ['{ distribute: [{ from: a/*, to: { a/*: 70, b/*: 30 } }] }', []],
  ['{ distribute: [{ from: "*", to: { a/b/c: 100 } }] }', []],
  ['{ distribute: [{ from: a, to: { a: 50 } }] }', ['the shares make 50 percent, and not 100']],
  ['{ distribute: [{ from: a, to: { a: 0, b: 100 } }] }', ['a share is from 1 to 100, and not 0']],
  [
    '{ distribute: [{ from: a, to: { a/*: 50, a/b: 50 } }] }',
    ['"a/b" overlaps with another place'],
  ],
  ['{ distribute: [{ from: "a//b", to: { a: 100 } }] }', ['"a//b" is no region/zone/subzone']],
  ['{ distribute: [{ from: "*/a", to: { a: 100 } }] }', ['"*/a" may have a * at its end only']],
  [
    '{ failover: [{ from: a, to: a }] }',
    [
      'warning: without outlierDetection nothing ever fails over',
      'a region cannot take over from itself',
    ],
  ],
  [
    '{ distribute: [{ from: a, to: { a: 100 } }], failover: [{ from: a, to: b }] }',
    ['only one of distribute and failover may be set'],
  ],
])('localityLbSetting %s', (text, words) => {
  expect(balancer(`{ localityLbSetting: ${text} }`)).toEqual(words);
});

test.each([
  ['zoneAwareLbSetting: { enabled: true, minClusterSize: 3 }', []],
  [
    'zoneAwareLbSetting: {}, localityLbSetting: {}',
    ['only one of localityLbSetting and zoneAwareLbSetting may be set'],
  ],
  [
    'zoneAwareLbSetting: { failoverPriority: [topology.kubernetes.io/zone] }',
    ['regions and zones count by themselves: no topology labels'],
  ],
  [
    'zoneAwareLbSetting: { failover: [{ from: a, to: a }] }',
    [
      'warning: without outlierDetection nothing ever fails over',
      'a region cannot take over from itself',
    ],
  ],
])('%s', (text, words) => {
  expect(balancer(`{ ${text} }`)).toEqual(words);
});

const failingOver = (text: string): string[] =>
  policy(`{ outlierDetection: {}, loadBalancer: { localityLbSetting: ${text} } }`);

test('failover is between regions, and not beside labels of them', () => {
  expect(failingOver('{ failover: [{ from: a, to: b }], failoverPriority: [rack] }')).toEqual([]);
  expect(failingOver('{ failover: [{ from: a/b, to: c }] }')).toEqual([
    'failover is from region to region',
  ]);
  const both =
    '{ failover: [{ from: a, to: b }], failoverPriority: [topology.kubernetes.io/zone] }';
  expect(failingOver(both)).toEqual([
    'failover between regions and topology labels contradict each other',
  ]);
});

test('a field that is not there and an unknown word are told', () => {
  expect(policy('{ loadBalancr: {} }')[0]).toContain('there is no field "loadBalancr" here');
  expect(balancer('{ simple: ROUND_ROBBIN }')[0]).toContain('must be one of');
});
