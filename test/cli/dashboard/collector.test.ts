import { afterEach, expect, test } from 'vitest';

import { Collector } from '#cli/dashboard/collector.ts';

import { FakeMesh, refusal, shop, tracedCalls } from './fake-mesh.ts';

const open: Collector[] = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map((one) => one.close()));
});

function collect(mesh: FakeMesh, now?: () => number): Collector {
  const collector = new Collector(mesh.sidecars, now);
  open.push(collector);
  return collector;
}

test('the graph has all sidecars, also those that are silent', async () => {
  const mesh = new FakeMesh(shop);
  mesh.answers.set('billing-0 /edges', new Error('connection refused'));
  const { value } = await collect(mesh).edges();
  expect(value?.workloads).toHaveLength(4);
  expect(value?.silent).toEqual(['billing/billing-0: connection refused']);
});

test('a sidecar that answers nonsense is one that knows nothing', async () => {
  const mesh = new FakeMesh(shop);
  for (const path of ['/edges', '/status', '/recent'])
    mesh.answers.set(`web-0 ${path}`, 'nonsense');
  const collector = collect(mesh);
  expect((await collector.edges()).value?.edges.length).toBeGreaterThan(0);
  expect((await collector.states()).value?.at(-1)?.value).toMatchObject({ identity: '' });
  expect((await collector.records()).value).toEqual([]);
});

test('only what is looked at is asked', async () => {
  const mesh = new FakeMesh(shop);
  const collector = collect(mesh);
  await collector.records();
  expect(new Set(mesh.asked.map((line) => line.split(' ')[1]))).toEqual(
    new Set(['/recent?limit=64']),
  );
  expect(mesh.tapsOpen).toBe(0);
});

test('an id is looked for in all sidecars', async () => {
  const mesh = new FakeMesh(shop);
  mesh.records = [refusal('r-1')];
  const collector = collect(mesh);
  expect(await collector.find('r-1')).toMatchObject({ id: 'r-1' });
  mesh.records = [refusal('r-1'), refusal('r-2')];
  expect(await collector.find('r-2')).toMatchObject({ id: 'r-2' });
  expect(await collector.find('r-3')).toBeNull();
});

test('calls are followed while somebody looks at traces, each once', async () => {
  let now = 1_000_000;
  const mesh = new FakeMesh(shop);
  mesh.tapped = tracedCalls('4bf92f3577b34da6a3ce929d0e0e4736');
  const collector = collect(mesh, () => now);
  await collector.calls();
  expect(mesh.tapsOpen).toBe(4);
  const { value } = await collector.calls();
  expect(value).toHaveLength(6);
  now += 60_000;
  await expect.poll(() => mesh.tapsOpen).toBe(0);
});

test('without control a sidecar says itself how it is', async () => {
  const mesh = new FakeMesh(shop);
  const collector = new Collector({ ...mesh.sidecars, control: undefined });
  open.push(collector);
  const { value } = await collector.states();
  expect(value?.[0]).toMatchObject({ control: null, value: { snapshot: 41 } });
});
