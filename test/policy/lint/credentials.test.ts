import { expect, test } from 'vitest';

import { codes, lint, mesh, policy } from './mesh.ts';

function extension(kind: string, spec: string): string {
  return `apiVersion: selvage.dev/v1alpha1
kind: ${kind}
metadata: { name: x, namespace: foo }
spec: ${spec}`;
}

const consumers = `consumers: [{ name: a, hashes: [${'a'.repeat(64)}] }]`;
const keys = (attached: string): string =>
  extension('ApiKeyAuthentication', `{ ${attached}, ${consumers} }`);
const exchange = (hosts: string, at = 'https://id.example.com/token'): string =>
  extension('TokenExchange', `{ hosts: [${hosts}], audience: a, tokenEndpoint: "${at}" }`);

test.each([
  ['hosts of the mesh and outside', exchange('web.bar.svc.cluster.local, a.example.com'), []],
  ['a host that is none of the mesh', exchange('web.foo.svc.cluster.local'), ['host-unknown']],
  ['an endpoint that is none', exchange('srv.foo.svc', 'http://id.foo.svc/t'), ['host-unknown']],
])('%s', (_what, document, expected) => {
  expect(codes(mesh, document)).toEqual(expected);
});

test('a header that tells the caller of a key is only believed where a sidecar writes it', () => {
  const rule = '{ rules: [{ when: [{ key: "request.headers[X-Consumer]", values: [a, b] }] }] }';
  const guarded = keys('selector: { matchLabels: { app: srv } }');
  expect(codes(mesh, guarded, policy(rule, 'namespace: foo'))).not.toContain('consumer-forgeable');
  expect(lint(mesh, guarded, policy(rule))).toMatchObject([
    {
      code: 'consumer-forgeable',
      message:
        'request.headers[X-Consumer]: no ApiKeyAuthentication is for bar/web, so callers there can send this header themselves',
    },
  ]);
});
