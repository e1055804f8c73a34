// The policies that `selvage suggest` writes: valid, just wide enough, and always the same.
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';

import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import { check } from '#cli/check.ts';
import { replay } from '#cli/replay.ts';
import { suggest } from '#cli/suggest.ts';

import { recorded, recordingOf } from './recording/calls.ts';
import { openFake } from './recording/fake-sidecars.ts';
import { folderOf, meshOf } from './yaml-folder.ts';

const batch = {
  source: {
    namespace: 'jobs',
    workload: 'batch',
    principal: 'spiffe://cluster.local/ns/jobs/sa/batch',
  },
  facts: { identities: ['spiffe://cluster.local/ns/jobs/sa/batch'] },
};

async function suggested(text: string, ...args: string[]) {
  const folder = await folderOf({ 'calls.ndjson': text, 'mesh.yaml': meshOf() });
  const io = folder.io();
  const status = await suggest(['calls.ndjson', ...args], io);
  return { status, out: io.out(), err: io.err(), folder };
}

test('one policy for a workload, a rule for each caller, ids as templates', async () => {
  const orders = ['/orders/1', '/orders/2', '/orders/3'].map((path) =>
    recorded({ ...batch, path, method: 'DELETE' }),
  );
  const refused = recorded({ verdict: 'deny', path: '/admin' });
  const plain = recorded({
    mtls: false,
    source: { namespace: 'unknown', workload: 'unknown', principal: 'unknown' },
  });
  const { status, out, err } = await suggested(
    recordingOf(recorded(), ...orders, recorded({ method: 'POST' }), refused, plain),
  );
  expect(status).toBe(0);
  expect(err).toBe(
    'shop/cart: 1 call in plaintext would be denied by the policy suggested for it\n',
  );
  expect(out).toBe(`# shop/cart: 5 calls of 2 kinds of callers, allowed.
#   rule 0: 3 calls of cluster.local/ns/jobs/sa/batch
#   rule 1: 2 calls of cluster.local/ns/shop/sa/web-sa
#   no rule: 1 call in plaintext, whose callers nobody can know. They would be denied.
#   no rule: 1 call that was denied.
# ALLOW policies add up: this one narrows nothing before these are gone: shop/wide
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata:
  name: cart-observed
  namespace: shop
spec:
  selector:
    matchLabels:
      app: cart
  action: ALLOW
  rules:
    - from:
        - source:
            principals:
              - cluster.local/ns/jobs/sa/batch
      to:
        - operation:
            ports:
              - "8080"
            methods:
              - DELETE
            paths:
              - /orders/{*}
    - from:
        - source:
            principals:
              - cluster.local/ns/shop/sa/web-sa
      to:
        - operation:
            ports:
              - "8080"
            methods:
              - GET
              - POST
            paths:
              - /api/items
`);
});

test('a token that all calls had is asked for', async () => {
  const token = {
    issuer: 'iss',
    subject: 'a',
    payload: { iss: 'iss', sub: 'a' },
    spaceDelimitedClaims: [],
  };
  const { out } = await suggested(
    recordingOf(recorded({ facts: { token } }), recorded({ path: '/open' })),
  );
  expect(out.match(/requestPrincipals:\n +- iss\/\*/g)).toHaveLength(1);
  expect(out).toMatch('1 call of cluster.local/ns/shop/sa/web-sa with tokens of iss');
});

test('bytes are allowed by their port', async () => {
  const { out } = await suggested(
    recordingOf(recorded({ protocol: 'TCP', method: '', path: '', port: 9000 })),
  );
  expect(out).toMatch(/- operation:\n +ports:\n +- "9000"\n$/);
});

test('under trial the policy is annotated', async () => {
  expect((await suggested(recordingOf(recorded()), '--dry-run')).out).toMatch(
    'istio.io/dry-run: "true"',
  );
});

test(
  'whatever was allowed stays so, and check has nothing to say',
  { timeout: 60_000 },
  async () => {
    const path = fc
      .array(
        fc.oneof(fc.constantFrom('a', 'b*', '*', 'x[y]', '', '%2F', '{z}'), fc.nat(30).map(String)),
        { maxLength: 3 },
      )
      .map((parts) => `/${parts.join('/')}`);
    const call = fc
      .record({
        path,
        method: fc.constantFrom('GET', 'POST'),
        port: fc.constantFrom(8080, 8081),
        from: fc.constantFrom('a', 'b'),
        protocol: fc.constantFrom('HTTP/2', 'HTTP/2', 'HTTP/1.1'),
      })
      .map(({ from, ...more }) => {
        const principal = `spiffe://cluster.local/ns/shop/sa/${from}`;
        return recorded({
          ...more,
          source: { namespace: 'shop', workload: from, principal },
          facts: { identities: [principal] },
        });
      });
    await fc.assert(
      fc.asyncProperty(fc.array(call, { minLength: 1, maxLength: 12 }), async (calls) => {
        const { status, err, folder } = await suggested(recordingOf(...calls), '-o', 'new');
        expect({ status, err }).toMatchObject({ status: 0 });
        expect(await readdir(join(folder.path, 'new'))).toEqual(['shop-cart-observed.yaml']);
        const io = folder.io();
        expect(await replay(['calls.ndjson', '--policies', 'new'], io)).toBe(0);
        const checked = folder.io();
        expect(await check(['mesh.yaml', 'new'], checked)).toBe(0);
      }),
      { numRuns: 40, seed: 9 },
    );
  },
);

test('of a live mesh too', async () => {
  const { io } = await folderOf({});
  const out = io();
  const open = openFake([{ pod: 'a', lines: [recorded()] }]);
  expect(await suggest(['--live', 'shop/cart', '--for', '5s'], out, open)).toBe(0);
  expect(out.out()).toMatch('name: cart-observed');
});

test('where nothing can be allowed nothing is written, and it says why', async () => {
  const plain = recorded({
    mtls: false,
    source: { namespace: 'unknown', workload: 'unknown', principal: 'unknown' },
  });
  const { status, out, err } = await suggested(recordingOf(plain));
  expect([status, out]).toEqual([1, '']);
  expect(err).toMatch('1 call in plaintext');
});

test('labels that nobody knows are asked for', async () => {
  const other = recorded({
    destination: { namespace: 'shop', workload: 'web', principal: 'unknown' },
  });
  const one = await suggested(recordingOf(other));
  expect(one.status).toBe(2);
  expect(one.err).toMatch(
    'the labels of shop/web are not known: give the YAML that has it by --policies',
  );
  const two = await suggested(recordingOf(other), '--policies', 'mesh.yaml');
  expect(two.out).toMatch('app: web');
});
