import { expect, test } from 'vitest';

import type { Service } from '#api/snapshot.ts';
import { compileRoutes, type Route } from '#sidecar/outbound/routes.ts';
import { Upstreams } from '#sidecar/upstream/upstreams.ts';

import { Rig, serviceOf, snapshotOf, spiffe } from '../rig.ts';

const svid = await (await Rig.create()).svid(spiffe('shop', 'payments'));

function setUp(): {
  take: (services: readonly Service[], how?: 'anew') => readonly Route[];
  upstreams: Upstreams;
} {
  const upstreams = new Upstreams(svid);
  let table = compileRoutes(snapshotOf({}));
  const take = (services: readonly Service[], how?: 'anew'): readonly Route[] => {
    const next = how === 'anew' ? null : table.withServices(services);
    table = next ?? compileRoutes(snapshotOf({ services }));
    upstreams.update(table);
    return table.routes;
  };
  return { take, upstreams };
}

function seen(upstreams: Upstreams): Record<string, string[]> {
  return Object.fromEntries(
    [...upstreams.all()].map(([{ key }, { members }]) => [key, members.map((m) => m.address)]),
  );
}

test.each([undefined, 'anew'] as const)(
  'endpoints change, clusters and members that stay are the same ones (table: %s)',
  (how) => {
    const { take, upstreams } = setUp();
    const two = serviceOf('two', [{ port: 7 }]);
    const [old] = take([serviceOf('one', [{ port: 1 }, { port: 2 }]), two]);
    const cluster = old && upstreams.cluster(old);
    const member = cluster?.members[0];
    const [now] = take([serviceOf('one', [{ port: 1 }, { port: 3 }]), two], how);
    expect(now && upstreams.cluster(now)).toBe(cluster);
    expect(old && upstreams.cluster(old)).toBe(cluster);
    expect(cluster?.members[0]).toBe(member);
    expect(seen(upstreams)).toEqual({
      'one.shop.svc.cluster.local:80': ['127.0.0.1:1', '127.0.0.1:3'],
      'two.shop.svc.cluster.local:80': ['127.0.0.1:7'],
    });
    expect(Object.keys(seen(upstreams))[0]).toBe('one.shop.svc.cluster.local:80');
  },
);

test('services come and go, and the cluster of one that is gone goes too', () => {
  const { take, upstreams } = setUp();
  const [gone] = take([serviceOf('one', [{ port: 1 }]), serviceOf('two', [])]);
  take([serviceOf('two', []), serviceOf('three', [{ port: 3 }])]);
  expect(gone && upstreams.cluster(gone)).toBeNull();
  expect(seen(upstreams)).toEqual({
    'two.shop.svc.cluster.local:80': [],
    'three.shop.svc.cluster.local:80': ['127.0.0.1:3'],
  });
});

test('where two services claim one name and port, the last one counts, whichever has changed', () => {
  const { take, upstreams } = setUp();
  const last = serviceOf('one', [{ port: 9 }]);
  take([serviceOf('one', [{ port: 1 }]), last]);
  take([serviceOf('one', [{ port: 2 }]), last]);
  expect([...upstreams.all()].map(([, { members }]) => members[0]?.address)).toEqual([
    '127.0.0.1:9',
    '127.0.0.1:9',
  ]);
});
