import { createServer } from 'node:http';

import { afterEach, expect, test } from 'vitest';

import { loadText, type AnyResource } from '#api/load.ts';
import type { Snapshot } from '#api/snapshot.ts';
import { ChangeLog } from '#control/changes.ts';
import { AddressGuard } from '#control/jwks/addresses.ts';
import { fetchLimits, KeyFetcher, placeOfSource, type PlaceOf } from '#control/jwks/fetch.ts';
import { KeySets } from '#control/jwks/key-sets.ts';
import { Publisher, type PublisherOptions } from '#control/publisher.ts';
import { Snapshots } from '#control/snapshots.ts';
import { listen } from '#runtime/listen.ts';
import { silentLog } from '#runtime/log.ts';

const mesh = `
apiVersion: apps/v1
kind: Deployment
metadata: { name: web, namespace: a, annotations: { inject: "true" } }
spec: { template: { metadata: { labels: { app: web } }, spec: { serviceAccountName: web } } }
---
apiVersion: v1
kind: Service
metadata: { name: idp, namespace: a }
spec: { selector: { app: idp }, ports: [{ name: http, port: 80, targetPort: 8080 }] }
---
`;
const authentication = `
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: { name: jwt, namespace: a }
spec: { jwtRules: [{ issuer: here, jwksUri: "http://idp.a.svc.cluster.local/keys" }] }
---
`;

/** The issuer's pod; as in `selvage up`, its port is another one on this machine. */
function issuer(port: number): string {
  return `
apiVersion: v1
kind: Pod
metadata: { name: idp-0, namespace: a, labels: { app: idp }, annotations: { selvage.dev/local-ports: '{"8080":${port}}' } }
spec: { serviceAccountName: idp }
status: { podIP: 127.0.0.1 }
---
`;
}

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0)) await close();
});

interface Setup {
  readonly publisher: Publisher;
  /** The keys in each snapshot that was published. */
  readonly published: string[];
  readonly set: (text: string) => void;
}

function setUp(over: Partial<PublisherOptions> = {}): Setup {
  let resources: readonly AnyResource[] = [];
  const placeOf: PlaceOf = (host, port) => publisher.placeOf(host, port);
  const fetcher = new KeyFetcher(new AddressGuard([]), fetchLimits, placeOf);
  const keys = new KeySets({
    fetchKeys: (source, timeoutMs) => fetcher.fetchKeys(source, timeoutMs),
    placeOf: (source) => placeOfSource(source, placeOf),
    onChange: () => void publisher.update(Date.now()),
    log: silentLog,
  });
  const snapshots = new Snapshots();
  const published: string[] = [];
  const publisher: Publisher = new Publisher({
    source: { resources: () => resources, problems: () => [] },
    keys,
    snapshots,
    changes: new ChangeLog(),
    trustDomain: () => null,
    publish: () => published.push(keysIn(snapshots.of('a/web'))),
    log: silentLog,
    ...over,
  });
  closers.push(
    () => keys.stop(),
    () => fetcher.close(),
  );
  const set = (text: string): void => {
    const loaded = loadText(text, 'mesh.yaml');
    if (loaded.problems.length > 0) throw new Error(loaded.problems[0]?.message);
    resources = loaded.resources;
  };
  return { publisher, published, set };
}

function keysIn(snapshot: Snapshot | null): string {
  const [policy] = snapshot?.policies ?? [];
  return policy?.kind === 'RequestAuthentication' ? (policy.spec.jwtRules[0]?.jwks ?? '') : '';
}

async function startIssuer(): Promise<number> {
  const server = createServer((_, reply) => void reply.end('{"keys":[{"kid":"1"}]}'));
  const port = await listen(server, { host: '127.0.0.1', port: 0 });
  closers.push(() => server.close());
  return port;
}

test('at the first publication an issuer in the mesh is found already', async () => {
  const { publisher, published, set } = setUp();
  set(mesh + issuer(await startIssuer()) + authentication);
  await publisher.update(Date.now());
  expect(published[0]).toBe('{"keys":[{"kid":"1"}]}');
});

test('an issuer whose pod comes after its policy is asked when the pod is there, not by and by', async () => {
  const { publisher, published, set } = setUp({ keysWaitMs: 50 });
  set(mesh + authentication);
  await publisher.update(Date.now());
  expect(published.at(-1)).toBe('{"keys":[]}');
  const port = await startIssuer();
  set(mesh + issuer(port) + authentication);
  const atMs = Date.now();
  await publisher.update(atMs);
  await until(() => published.at(-1)?.includes('kid') === true);
  // Less than the first wait between two tries.
  expect(Date.now() - atMs).toBeLessThan(1000);
});

async function until(holds: () => boolean): Promise<void> {
  for (let waited = 0; !holds() && waited < 5000; waited += 5) {
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  expect(holds()).toBe(true);
}
