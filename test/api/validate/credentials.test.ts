// ApiKeyAuthentication, TokenExchange and Secret: what is refused, in which words, and what is kept.
import { createHash } from 'node:crypto';

import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import { loadText } from '#api/load.ts';
import { collectMesh } from '#api/mesh.ts';

const hash = createHash('sha256').update('key').digest('hex');

function problemsOf(kind: string, spec: string): string[] {
  const text = `
apiVersion: selvage.dev/v1alpha1
kind: ${kind}
metadata: { name: x, namespace: shop }
spec: { ${spec} }
`;
  return loadText(text, 'x.yaml').problems.map(
    ({ severity, message }) => `${severity}: ${message}`,
  );
}

const consumers = `consumers: [{ name: acme, hashes: [${hash}] }]`;

test.each([
  ['', 'warning: no key is known, so every request that needs one is refused'],
  [`${consumers}, match: []`, 'error: an empty match reads as nothing and would mean everything'],
  [`${consumers}, match: [{}]`, 'error: an empty match reads as nothing and would mean everything'],
  [`${consumers}, match: [{ paths: [] }]`, 'error: paths is an empty list'],
  [
    `${consumers}, match: [{ paths: ["/a{b}"] }]`,
    'error: "a{b}" has a brace that is not {*} or {**} by itself',
  ],
  [`${consumers}, from: []`, 'error: an empty list of places would find no key'],
  [`${consumers}, from: [{}]`, 'error: a place is one of header, query and cookie'],
  [
    `${consumers}, from: [{ header: a, cookie: b }]`,
    'error: a place is one of header, query and cookie',
  ],
  [`${consumers}, from: [{ header: "a b" }]`, 'error: "a b" is no header for a key'],
  [`${consumers}, from: [{ header: Host }]`, 'error: "Host" is no header for a key'],
  [`${consumers}, from: [{ cookie: a, prefix: b }]`, 'error: only a header has a prefix'],
  [
    `${consumers}, from: [{ query: k }]`,
    'warning: a key in the query gets into access logs and histories of browsers',
  ],
  [`${consumers}, forwardConsumerHeader: "a:b"`, 'error: "a:b" cannot tell the name of the caller'],
  [
    `${consumers}, forwardConsumerHeader: X-Forwarded-Client-Cert`,
    'error: "X-Forwarded-Client-Cert" cannot tell the name of the caller',
  ],
  [`${consumers}, from: [{ header: x-consumer }]`, 'error: the key itself comes in x-consumer'],
  ['consumers: [{ name: a, hashes: [key] }]', 'error: this is no SHA-256 in hexadecimal'],
  ['consumers: [{ name: a }]', 'error: "a" has no key'],
  [`consumers: [{ name: "a\\r\\nb", hashes: [${hash}] }]`, 'error: "a\r\nb" is no name'],
  [
    `consumers: [{ name: a, hashes: [${hash}] }, { name: b, hashes: [${hash.toUpperCase()}] }]`,
    'error: it is also a key of "a"',
  ],
  [
    `${consumers}, targetRefs: [{ kind: Gateway, name: a }]`,
    'error: ApiKeyAuthentication is attached to Services',
  ],
  [
    `${consumers}, selector: { matchLabels: { a: b } }, targetRefs: [{ kind: Service, name: a }]`,
    'error: only one of selector and targetRefs may be set',
  ],
])('ApiKeyAuthentication { %s }', (spec, message) => {
  expect(problemsOf('ApiKeyAuthentication', spec)).toContain(message);
});

const out = 'hosts: [api], audience: api, tokenEndpoint: "https://id.example.com/token"';

test.each([
  [
    'hosts: ["*"], tokenEndpoint: "https://id/t"',
    'error: "*" would give the token to everyone who is called',
  ],
  ['hosts: ["a/b"], tokenEndpoint: "https://id/t"', 'error: "a/b" is no host'],
  ['hosts: [api], tokenEndpoint: id', 'error: "id" is no URL'],
  ['hosts: [api], tokenEndpoint: "ftp://id/t"', 'error: the scheme ftp: is not served'],
  ['hosts: [api], tokenEndpoint: "https://id/t#x"', 'error: a token endpoint has no fragment'],
  ['hosts: [api], tokenEndpoint: "https://a:b@id/t"', 'error: credentials belong to spec.client'],
  [
    'hosts: [api], tokenEndpoint: "http://id.example.com/t"',
    'warning: tokens go to id.example.com in the clear, unless it is a service of the mesh',
  ],
  [
    'hosts: [api], tokenEndpoint: "https://id/t"',
    'warning: the new token is for nobody in particular: audience, resource and scopes lack',
  ],
  [
    `${out}, onFailure: allow`,
    'warning: calls go with the token that came when there is no new one',
  ],
  [`${out}, scopes: ["a b"]`, 'error: "a b" is no scope'],
  [`${out}, timeout: soon`, 'error: "soon" is no time from 1ms to 10m'],
  [`${out}, subject: { file: /a }`, 'error: a token of the request has no file'],
  [`${out}, subject: { from: file }`, 'error: from: file needs the file'],
  [`${out}, subject: { from: file, file: a }`, 'error: "a" does not begin with /'],
  [
    `${out}, subject: { from: file, file: /var/run/secrets/selvage/token }`,
    'error: this token is for our CA: whoever gets it can take the workload’s identity',
  ],
  [`${out}, client: { id: a }`, 'error: method: basic needs secretFile'],
  [
    `${out}, client: { id: a, method: none, secretFile: /a }`,
    'error: method: none has no secretFile',
  ],
  [
    `${out}, client: { id: a, method: private_key_jwt, keyFile: a }`,
    'error: "a" does not begin with /',
  ],
])('TokenExchange { %s }', (spec, message) => {
  expect(problemsOf('TokenExchange', spec)).toContain(message);
});

test('what is right has no problems', () => {
  const places = 'from: [{ header: authorization, prefix: "Key " }, { cookie: k }]';
  const match =
    'match: [{ paths: ["/v1/{*}/x"], notPaths: ["/v1/*"], methods: [GET], hosts: [a] }]';
  expect(problemsOf('ApiKeyAuthentication', `${consumers}, ${places}, ${match}`)).toEqual([]);
  const client = 'client: { id: a, method: private_key_jwt, keyFile: /k, algorithm: ES256 }';
  expect(problemsOf('TokenExchange', `${out}, ${client}, scopes: [a, b:c]`)).toEqual([]);
  const own = 'subject: { from: file, file: /var/run/secrets/idp/token }';
  expect(problemsOf('TokenExchange', `${out}, ${own}, client: { id: a, method: none }`)).toEqual(
    [],
  );
});

function secret(name: string, label: string, values: string): string {
  const labels = label === '' ? '' : `, labels: { selvage.dev/api-keys: "${label}" }`;
  return `
---
apiVersion: v1
kind: Secret
metadata: { name: ${name}, namespace: shop${labels} }
${values}
`;
}

test('of a Secret with the label only hashes are kept, of others nothing', () => {
  const encoded = Buffer.from('key\n').toString('base64');
  const text =
    secret('a', 'true', `data: { acme: ${encoded}, empty: "" }\nstringData: { globex: key }`) +
    secret('b', '', `stringData: { password: hunter2 }`) +
    secret('c', 'false', `stringData: { password: hunter2 }`);
  const loaded = loadText(text, 'x.yaml');
  expect(loaded.problems).toEqual([]);
  expect(JSON.stringify(loaded)).not.toMatch(/hunter2|a2V5/);
  const { secrets } = collectMesh(loaded.resources);
  expect(secrets.map(({ metadata, spec }) => [metadata.name, spec])).toEqual([
    ['a', { hashes: { acme: hash, globex: hash } }],
  ]);
});

test('whatever is written in a spec, it is read or refused with a reason', () => {
  const leaf = fc.oneof(fc.string(), fc.integer(), fc.boolean(), fc.constant(null));
  const names = [
    'selector targetRefs match from consumers secrets optional forwardConsumerHeader hideKey',
    'hosts tokenEndpoint subject audience scopes client timeout onFailure cache paths name hashes',
  ].flatMap((line) => line.split(' '));
  const { tree } = fc.letrec<{ tree: unknown }>((tie) => ({
    tree: fc.oneof(
      { maxDepth: 4 },
      leaf,
      fc.array(tie('tree'), { maxLength: 3 }),
      fc.dictionary(fc.constantFrom(...names), tie('tree'), { maxKeys: 4 }),
    ),
  }));
  const kinds = fc.constantFrom('ApiKeyAuthentication', 'TokenExchange');
  fc.assert(
    fc.property(kinds, fc.dictionary(fc.constantFrom(...names), tree), (kind, spec) => {
      const metadata = { name: 'x', namespace: 'shop' };
      const value = { apiVersion: 'selvage.dev/v1alpha1', kind, metadata, spec };
      const { resources, problems } = loadText(JSON.stringify(value), 'x.json');
      const refused = problems.some(({ severity }) => severity === 'error');
      expect(resources).toHaveLength(refused ? 0 : 1);
    }),
    { numRuns: 500 },
  );
});
