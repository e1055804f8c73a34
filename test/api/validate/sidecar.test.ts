import { expect, test } from 'vitest';

import { said } from './saying.ts';

const sidecar = (text: string): string[] => said('Sidecar', text);

test.each([
  '{ egress: [{ hosts: ["./*", "istio-system/*"] }] }',
  '{ egress: [{ hosts: ["*/*.example.com"] }] }',
  '{ egress: [{ hosts: ["~/*"] }] }',
  '{ egress: [{ port: { number: 80, protocol: HTTP, name: http }, hosts: ["*/*"] }, { hosts: ["./*"] }] }',
  '{ outboundTrafficPolicy: {} }',
])('%s is valid', (text) => {
  expect(sidecar(text)).toEqual([]);
});

test.each([
  ['{}', 'a Sidecar must say something'],
  ['{ egress: [{}] }', 'an egress needs hosts'],
  ['{ egress: [{ hosts: [web] }] }', '"web" is not NAMESPACE/HOST'],
  ['{ egress: [{ hosts: [a/b/c] }] }', '"a/b/c" is not NAMESPACE/HOST'],
  ['{ egress: [{ hosts: [a_b/*] }] }', '"a_b" is no namespace'],
  ['{ egress: [{ hosts: [~/web] }] }', 'a "~" chooses nothing: its host is *'],
  ['{ egress: [{ hosts: ["./a b"] }] }', '"a b" is no domain name: its first label "a b" is none'],
  ['{ egress: [{ hosts: ["./*", shop/*] }] }', 'warning: shop/* is there twice'],
  [
    '{ egress: [{ hosts: ["./*"] }, { hosts: ["*/*"] }] }',
    'an egress without a port is the last one',
  ],
  [
    '{ egress: [{ port: { number: 80 }, hosts: [a/*] }, { port: { number: 80 }, hosts: [b/*] }] }',
    'two listeners are for 80',
  ],
  ['{ egress: [{ port: {}, hosts: [a/*] }] }', 'a port of 0 is for bind: unix://… only'],
  ['{ egress: [{ port: { number: 1, protocol: X }, hosts: [a/*] }] }', '"X" is no known protocol'],
  [
    '{ egress: [{ port: { number: 1, targetPort: 2 }, hosts: [a/*] }] }',
    'targetPort has no effect here',
  ],
  [
    '{ egress: [{ captureMode: NONE, hosts: [a/*] }] }',
    'warning: listeners of its own are not opened: outbound calls are captured as usual',
  ],
  [
    '{ outboundTrafficPolicy: { mode: ALLOW_ANY, egressProxy: { host: a.b, port: { number: 1 } } } }',
    'warning: egressProxy is not carried out: calls go where they were going',
  ],
  [
    '{ outboundTrafficPolicy: { egressProxy: { host: a.b, port: { number: 1 } } } }',
    'an egressProxy goes with ALLOW_ANY',
  ],
])('%s: %s', (text, words) => {
  expect(sidecar(text)).toEqual([words]);
});

test.each([
  ['{ tcp: { maxConnections: 5 } }', []],
  ['{}', ['a connectionPool needs tcp or http']],
])('an inboundConnectionPool of %s', (pool, errors) => {
  expect(sidecar(`{ inboundConnectionPool: ${pool} }`)).toEqual(errors);
});

test.each(['', '127.0.0.1:80', '0.0.0.0:80', '"[::1]:80"', '":80"', 'unix:///s', 'unix://@s'])(
  'the defaultEndpoint %s is valid',
  (endpoint) => {
    const listener = `{ port: { number: 80 }, defaultEndpoint: ${endpoint === '' ? '""' : endpoint} }`;
    expect(sidecar(`{ ingress: [${listener}] }`)).toEqual([]);
  },
);

test.each([
  ['{}', 'an ingress needs a port'],
  ['{ port: {} }', 'a port is a number from 1 to 65535'],
  ['{ port: { number: 1 }, bind: x }', '"x" is no IP address'],
  [
    '{ port: { number: 1 }, defaultEndpoint: 10.0.0.1:80 }',
    '"10.0.0.1:80" is no endpoint of the same pod',
  ],
  ['{ port: { number: 1 }, defaultEndpoint: 127.0.0.1:0 }', '0 is no port from 1 to 65535'],
  ['{ port: { number: 1 }, defaultEndpoint: unix://s }', '"s" is no absolute path of a socket'],
  [
    '{ port: { number: 1, protocol: HTTP }, tls: {} }',
    'only ports of the protocols HTTPS and TLS have TLS of their own',
  ],
  [
    '{ port: { number: 1, protocol: TLS }, tls: { mode: ISTIO_MUTUAL } }',
    'ISTIO_MUTUAL is no mode of ingress',
  ],
  [
    '{ port: { number: 1, protocol: TLS }, tls: { mode: SIMPLE, privateKey: /k } }',
    'SIMPLE needs a certificate',
  ],
])('ingress %s: %s', (text, words) => {
  expect(sidecar(`{ ingress: [${text}] }`)).toContain(words);
});

test.each([
  [
    '{ port: { number: 1 }, captureMode: NONE }',
    'warning: listeners of its own are not opened: calls to this port come as all others of the pod do',
  ],
  [
    '{ port: { number: 1, protocol: TLS }, tls: {} }',
    'warning: TLS of its own is not terminated: the application gets it as it comes',
  ],
])('of the ingress %s not all is carried out: %s', (text, words) => {
  expect(sidecar(`{ ingress: [${text}] }`)).toEqual([words]);
});
