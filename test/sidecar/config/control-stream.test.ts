import { afterAll, beforeAll, expect, test } from 'vitest';

import { controlClientLimits } from '#sidecar/config/control-client.ts';
import { openControlStream } from '#sidecar/config/control-stream.ts';
import { openBlackHole, type BlackHole } from '#test/black-hole.ts';
import { issue, makeTestCa, type Issued } from '#test/tls/fixtures.ts';

let hole: BlackHole;
let own: Issued;
beforeAll(async () => {
  hole = await openBlackHole();
  own = await issue(await makeTestCa(), { uri: 'spiffe://cluster.local/ns/a/sa/web' });
});
afterAll(() => hole.close());

function endOf(limits: Partial<typeof controlClientLimits>): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  openControlStream({
    url: new URL(`https://127.0.0.1:${hole.port}`),
    controlIdentity: 'spiffe://cluster.local/ns/selvage-system/sa/selvage-control',
    credentials: { key: own.keyPem, cert: own.certPem, ca: own.caPem },
    limits: { ...controlClientLimits, ...limits },
    hello: '{}\n',
    onOpen: () => resolve('open'),
    onLine: () => undefined,
    onEnd: resolve,
  });
  return promise;
}

// A Service still leads to a pod of control that is gone: what is known of endpoints grows old meanwhile.
test('where nothing answers TCP, the next try is not kept waiting as long as for an answer', async () => {
  expect(await endOf({ connectTimeoutMs: 50 })).toBe('no connection within 50 ms');
  expect(controlClientLimits.connectTimeoutMs).toBeLessThanOrEqual(3_000);
});
