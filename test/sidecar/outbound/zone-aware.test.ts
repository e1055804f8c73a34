// Calls of a DestinationRule with zoneAwareLbSetting, through real sockets.
import { afterEach, beforeEach, expect, test } from 'vitest';

import type { Service } from '#api/snapshot.ts';

import { exchange, get, plain, Rig, serviceOf } from '../rig.ts';

let rig: Rig;
beforeEach(async () => {
  rig = await Rig.create();
});
afterEach(() => rig.close());

const outlier = {
  consecutive5xx: 1,
  consecutiveGatewayErrors: 0,
  intervalMs: 60_000,
  splitLocalOrigin: false,
  consecutiveLocalOrigin: 0,
  baseEjectionMs: 60_000,
  maxEjectionPercent: 100,
  minHealthPercent: 0,
};

test('calls stay in their zone, go to others of the region as it fails, and then to other regions', async () => {
  const ill = new Set<string>();
  const place = async (locality: string) => {
    const { port } = await rig.application((_request, response) => {
      response.statusCode = ill.has(locality) ? 500 : 200;
      response.end(locality);
    });
    return { port, locality };
  };
  const zones = ['eu/a', 'eu/b', 'eu/b', 'eu/b', 'us/a'];
  const shop = serviceOf('shop', await Promise.all(zones.map(place)));
  // The caller's own pods, which are never called here.
  const web: Service = serviceOf('web', [
    { address: '127.0.0.2', locality: 'eu/a' },
    ...[3, 4, 5].map((n) => ({ address: `127.0.0.${n}`, locality: 'eu/b' })),
  ]);
  const host = 'shop.shop.svc.cluster.local';
  const policy = { outlier, locality: { zoneAware: { sizeMin: 1 } } };
  const sidecar = await rig.sidecar({
    account: 'web',
    services: [shop, web],
    locality: 'eu/a',
    traffic: {
      destinations: [{ host, source: 'DestinationRule shop/r', policy, ports: {}, subsets: [] }],
    },
  });
  const met = async (calls: number): Promise<string[]> => {
    const places = new Set<string>();
    for (let i = 0; i < calls; i += 1) {
      const { body } = await exchange(await plain(sidecar.outboundPort), get('/', '', 'shop.shop'));
      places.add(body);
    }
    return [...places];
  };
  expect(await met(20)).toEqual(['eu/a']);
  ill.add('eu/a');
  await met(2);
  expect(await met(20)).toEqual(['eu/b']);
  ill.add('eu/b');
  await met(30);
  expect(await met(20)).toEqual(['us/a']);
});
