// What `selvage diff` prints and answers to the shell; and that explain says the same of its examples.
import { expect, test } from 'vitest';

import { diff } from '#cli/diff.ts';
import { explain } from '#cli/explain.ts';

import { folderOf, meshOf, policyOf } from './yaml-folder.ts';

const web = 'from: [{ source: { principals: ["cluster.local/ns/shop/sa/web-sa"] } }]';
const wide = policyOf('wide', 'ALLOW', `[{ ${web}, to: [{ operation: { paths: ["/api/*"] } }] }]`);
const narrow = policyOf(
  'narrow',
  'ALLOW',
  `[{ ${web}, to: [{ operation: { paths: ["/api/a b'c", "/api/{*}"], methods: ["GET"] } }] }]`,
);

async function compare(old: string, now: string, ...args: string[]) {
  const folder = await folderOf({ 'old.yaml': old, 'new.yaml': now });
  const io = folder.io();
  const status = await diff(['old.yaml', 'new.yaml', ...args], io);
  return { status, out: io.out(), err: io.err(), folder };
}

test('no call differs, and that is proven: status 0', async () => {
  const { status, out } = await compare(meshOf(wide), meshOf(wide.replace('wide', 'other')));
  expect(out).toBe('no call differs: proven for 2 workloads\n');
  expect(status).toBe(0);
});

test('a difference has an example call, the rules with their lines, and the arguments of explain', async () => {
  const { status, out } = await compare(meshOf(wide), meshOf(narrow));
  expect(status).toBe(1);
  expect(out).toMatch(
    /shop\/cart\n {2}now DENIED {2}\w+ \/api\/\S* from shop\/web-sa to shop\/cart:8080/,
  );
  expect(out).toMatch(/old: allowed by shop\/wide rule 0 \(old\.yaml:\d+\)/);
  expect(out).toMatch('new: denied: no rule of the one ALLOW policy that applies matches');
  expect(out).toMatch(
    /selvage explain --from shop\/web-sa --to shop\/cart --port 8080 .* new\.yaml/,
  );
  expect(out).toMatch('1 difference in 1 of 2 workloads');
});

test('explain says of every example what diff says, on both sides', async () => {
  const tokens = `apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: { name: jwt, namespace: shop }
spec: { jwtRules: [{ issuer: iss, jwks: '{"keys":[]}' }] }`;
  const rules = [
    policyOf(
      'a',
      'DENY',
      '[{ when: [{ key: "request.headers[x-team]", values: ["a b"], notValues: ["c"] }] }]',
    ),
    policyOf(
      'b',
      'DENY',
      '[{ from: [{ source: { remoteIpBlocks: ["10.1.0.0/16"], notIpBlocks: ["10.0.0.0/8"] } }] }]',
    ),
    policyOf(
      'c',
      'DENY',
      '[{ to: [{ operation: { hosts: ["*.example"] } }], when: [{ key: connection.sni, values: ["a.*"] }] }]',
    ),
    policyOf(
      'd',
      'DENY',
      '[{ when: [{ key: "request.auth.claims[groups]", values: ["x", "it\'s"] }, { key: destination.ip, notValues: ["10.0.0.2"] }] }]',
    ),
  ];
  const { out, folder } = await compare(
    meshOf(tokens),
    meshOf(tokens, ...rules),
    '--output',
    'json',
  );
  const { differences } = JSON.parse(out) as {
    differences: {
      explain: string[] | null;
      old: { allowed: boolean };
      new: { allowed: boolean };
    }[];
  };
  const explained = differences.flatMap(({ explain: args, ...sides }) =>
    args === null ? [] : [{ args, ...sides }],
  );
  expect(explained.length).toBeGreaterThanOrEqual(4);
  for (const { args, old, new: now } of explained) {
    for (const [file, side] of [['old.yaml', old] as const, ['new.yaml', now] as const]) {
      const io = folder.io();
      const status = await explain([...args, file], io);
      expect({ args, status }).toMatchObject({ status: side.allowed ? 0 : 1 });
    }
  }
});

const odd = (value: string): string =>
  policyOf('odd', 'ALLOW', `[{ when: [{ key: "request.headers[:path]", values: ["${value}"] }] }]`);

test('what is not understood is named, and status 3 says that nothing is proven', async () => {
  const { status, out } = await compare(meshOf(odd('/a?b=c')), meshOf(odd('/a?b=d')));
  expect(out).toMatch(/not proven for shop\/cart: when\[request\.headers\[:path\]\] is not among/);
  expect(status).toBe(3);
});

test('TLS that is not the mesh’s counts too, where only its server name tells calls apart', async () => {
  const strict = `apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: { name: open, namespace: shop }
spec: { mtls: { mode: DISABLE } }`;
  const named = policyOf(
    'named',
    'DENY',
    '[{ when: [{ key: connection.sni, values: ["a.test"] }] }]',
  );
  const { status, out } = await compare(meshOf(strict), meshOf(strict, named));
  expect(out).toMatch("TLS that is not the mesh's, to shop/cart:9999 (server name a.test)");
  expect(out).not.toMatch('selvage explain');
  expect(status).toBe(1);
});

test('but where both sides say the same of it, nothing needs to be understood', async () => {
  const { status, out } = await compare(
    meshOf(odd('/a?b=c')),
    meshOf(odd('/a?b=c').replace('name: odd', 'name: other')),
  );
  expect(out).toMatch('no call differs');
  expect(status).toBe(0);
});

test('policies without a workload are compared for the workloads of the other side', async () => {
  const { status, out } = await compare(meshOf(wide), narrow, '--workload', 'shop/cart');
  expect(status).toBe(1);
  expect(out).toMatch('shop/cart (only in OLD)');
});

test.each([
  [['old.yaml'], /give two folders or files/],
  [['old.yaml', 'none.yaml'], /no such file/],
  [
    ['old.yaml', 'old.yaml', '--workload', 'shop/none'],
    /there is no workload shop\/none; there are/,
  ],
  [['policies.yaml', 'policies.yaml'], /neither side has a workload/],
  [['old.yaml', 'old.yaml', '--output', 'xml'], /--output is/],
])('wrong usage is said in a line: %j', async (args, message) => {
  const folder = await folderOf({ 'old.yaml': meshOf(), 'policies.yaml': wide });
  const io = folder.io();
  expect(await diff(args, io)).toBe(2);
  expect(io.err()).toMatch(message);
});
