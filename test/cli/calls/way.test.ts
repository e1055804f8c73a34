// What `selvage explain` says of the caller's side: each example of routes and destinations, and what may be overlooked.
import { readdirSync } from 'node:fs';
import { join } from 'node:path';

import { expect, test } from 'vitest';

import { explain } from '#cli/explain.ts';

import { testIo } from '../output.ts';

const root = join(import.meta.dirname, '../../..');
const examples = join(root, 'manifests/examples');

async function run(group: string, file: string, ...args: string[]) {
  const paths = ['services.yaml', file].filter((name) => name !== '');
  const io = { ...testIo(), cwd: join(examples, group) };
  const status = await explain([...args, ...paths], io);
  return { status, out: io.out(), err: io.err() };
}

const store = ['--from', 'store/default', '--to', 'store/catalog'];
const atlas = (name: string) => ['--from', 'atlas/default', '--to', `atlas/${name}`];

test('a split names its route, each destination with its share, and who is behind it', async () => {
  const { status, out } = await run('routes', 'canary-by-weight.yaml', ...store);
  expect(status).toBe(0);
  expect(out).toContain(
    [
      '✓ ALLOWED  GET / from store/default to store/catalog:8080',
      '  store/front calls catalog.store.svc.cluster.local:80',
      '  route: VirtualService store/canary-by-weight (canary-by-weight.yaml:10), spec.http[0]',
      '    90 % to catalog.store.svc.cluster.local:80: 1 endpoint (catalog:8080)',
      '    10 % to catalog-v2.store.svc.cluster.local:80: 1 endpoint (catalog-v2:8080)',
    ].join('\n'),
  );
});

test.each([
  ['routes', 'timeout-and-retries.yaml', store, /timeout 2s\n +retries: 2, 500ms each, on .*503\n/],
  ['routes', 'fault.yaml', [...store, '--header', 'x-chaos=1'], /50 % are delayed by 2s\n.*10 %/],
  [
    'routes',
    'direct-response.yaml',
    [...store, '--path', '/healthz'],
    /at once with 200\n.*itself/,
  ],
  ['routes', 'redirect.yaml', [...store, '--path', '/shop/1'], /redirected with 308\n.*itself/],
  ['routes', 'mirror.yaml', store, /mirror: 25 % are copied to catalog-v2\.store/],
  ['routes', 'cors.yaml', store, /CORS: preflights/],
  ['routes', 'headers.yaml', store, /edits headers/],
  ['routes', 'sticky-split.yaml', store, /each header x-user stays with one destination/],
  [
    'routes',
    'version-by-path.yaml',
    [...store, '--path', '/v2/x'],
    /"v2"\n +rewritten: path \/x\n/,
  ],
  [
    'routes',
    'version-by-path.yaml',
    [...store, '--path', '/v2/x'],
    /does not get to store\/catalog,/,
  ],
  [
    'routes',
    'version-by-accept.yaml',
    [...store, '--header', 'accept=application/json;version=2'],
    /"v2"/,
  ],
  [
    'routes',
    'delegate.yaml',
    [...store, '--path', '/images/1'],
    /VirtualService store\/images \(delegate\.yaml:28\), spec\.http\[1\]/,
  ],
  [
    'routes',
    'canary-by-header-gateway-api.yaml',
    store,
    /HTTPRoute store\/canary-by-header \(.*:\d+\), spec\.rules\[0\]/,
  ],
  [
    'destinations',
    'subsets.yaml',
    atlas('maps-v1'),
    /2 endpoints \(maps-v1:8080, maps-v2:8080\)\n +DestinationRule atlas\/maps \(subsets\.yaml:7\): random\n/,
  ],
  [
    'destinations',
    'outlier-detection.yaml',
    atlas('reviews'),
    /endpoints out for 30s after 5 errors or 3 gateway errors/,
  ],
  ['destinations', 'consistent-hash.yaml', atlas('sessions'), /maglev by cookie session/],
  [
    'destinations',
    'circuit-breaking.yaml',
    atlas('stock'),
    /at most 100 connections, 50 waiting requests, 200 requests/,
  ],
  [
    'destinations',
    'breaker-expression.yaml',
    atlas('tickets'),
    /CircuitBreaker atlas\/tickets \(breaker-expression\.yaml:7\): no calls for 10s when /,
  ],
  [
    'destinations',
    'health-check.yaml',
    atlas('orders'),
    /HealthCheck atlas\/orders .*: http health check each 5s, out after 3/,
  ],
  [
    'destinations',
    'balancing.yaml',
    atlas('search'),
    /least request; near endpoints first; new endpoints warm up for 30s/,
  ],
] as const)('%s/%s, %j: %s is told', async (group, file, args, words) => {
  const { out, err } = await run(group, file, ...args);
  expect(err).toBe('');
  expect(out).toMatch(words);
});

test('every example can be explained', async () => {
  for (const [group, args] of [
    ['routes', store],
    ['destinations', atlas('maps-v1')],
  ] as const) {
    for (const file of readdirSync(join(examples, group))) {
      if (file === 'services.yaml') continue;
      const { status, out, err } = await run(group, file, ...args, '--output', 'json');
      expect({ file, err, status }).toEqual({ file, err: '', status: 0 });
      expect(JSON.parse(out)).toHaveProperty('way.caller');
    }
  }
});

test('where nothing is said of the call, nothing is told of it; JSON has its endpoints', async () => {
  const { out } = await run('routes', '', ...store);
  expect(out).not.toContain('calls');
  const json = await run('routes', '', ...store, '--output', 'json');
  expect(JSON.parse(json.out)).toMatchObject({
    way: {
      kind: 'service',
      route: null,
      destinations: [{ percent: 100, endpoints: [{ workload: 'catalog', namespace: 'store' }] }],
    },
  });
});

test('hosts that no service has are called outside, or refused by the scope', async () => {
  const args = [...atlas('maps-v1'), '--host', 'nowhere.example'];
  expect((await run('destinations', '', ...args)).out).toContain(
    'note: atlas/search sees no service with the host nowhere.example, and calls it as a host outside of the mesh',
  );
  expect((await run('destinations', 'sidecar-scope.yaml', ...args)).out).toContain(
    'refuses it (Sidecar atlas/default)',
  );
});

test('bytes have their way too, and plaintext from outside has none', async () => {
  const tcp = await run('routes', 'canary-by-weight.yaml', ...store, '--tcp', '--output', 'json');
  expect(JSON.parse(tcp.out)).toMatchObject({ way: { kind: 'service', route: null } });
  const plain = await run(
    'routes',
    '',
    '--from',
    'none',
    '--to',
    'store/catalog',
    '--output',
    'json',
  );
  expect(JSON.parse(plain.out)).toMatchObject({ way: null });
});

test("what the callee's sidecar does with a call that it lets pass is said too, and who says so", async () => {
  const { out } = await run(
    'destinations',
    'sidecar-ingress.yaml',
    ...atlas('ledger'),
    '--port',
    '9090',
  );
  expect(out).toContain(
    [
      "  the callee's sidecar: calls the application at 127.0.0.1:8080; at most 20 requests of all callers together",
      '    Sidecar atlas/ledger (sidecar-ingress.yaml:8)',
    ].join('\n'),
  );
  const other = await run('destinations', 'sidecar-ingress.yaml', ...atlas('ledger'));
  expect(other.out).toContain(
    "the callee's sidecar: at most 100 connections of all callers together",
  );
});
