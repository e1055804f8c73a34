import { setTimeout as sleep } from 'node:timers/promises';

import { afterEach, describe, expect, test } from 'vitest';

import { application, ask, type Application } from './http2/peers.ts';
import { Http2Rig, type Http2RigOptions } from './http2/rig.ts';

let rig: Http2Rig;
let upstream: Application;

afterEach(async () => {
  await rig.stop();
  await upstream.stop();
});

const askOnce = async (): Promise<number> => (await ask('http1', rig.port, { path: '/' })).status;

describe.each(['http1', 'http2'] as const)('of %s', (version) => {
  async function start(limits: Http2RigOptions['pool'] & Http2RigOptions['pool1'], waitMs = 0) {
    upstream = await application(version, (_request, response) => {
      setTimeout(() => response.end('ok'), waitMs);
    });
    const { port } = upstream;
    rig = await Http2Rig.start({
      upstreamPort: port,
      upstream: version,
      pool: limits,
      pool1: limits,
    });
  }

  test('a connection takes as many requests as it may, and the next one is new', async () => {
    await start({ requestsPerConnectionMax: 2 });
    for (let i = 0; i < 5; i += 1) expect(await askOnce()).toBe(200);
    expect(rig.opened).toBe(3);
  });

  test('a connection takes no request once it is old, and closes', async () => {
    await start({ connectionMsMax: 300 });
    expect(await askOnce()).toBe(200);
    await sleep(1500);
    expect(rig.pool.connections).toBe(0);
    expect(await askOnce()).toBe(200);
    expect(rig.opened).toBe(2);
  });

  test('a request that is under way when its connection grows old is answered', async () => {
    await start({ connectionMsMax: 100 }, 800);
    expect(await askOnce()).toBe(200);
  });
});

test('calls at once on one connection of HTTP/2 are no more than callsMax', async () => {
  let [now, most] = [0, 0];
  upstream = await application('http2', (_request, response) => {
    now += 1;
    most = Math.max(most, now);
    setTimeout(() => {
      now -= 1;
      response.end('ok');
    }, 100);
  });
  const { port } = upstream;
  rig = await Http2Rig.start({
    upstreamPort: port,
    upstream: 'http2',
    pool: { callsMax: 2 },
    pool1: { connectionsMax: 1 },
  });
  const answers = await Promise.all(
    Array.from({ length: 6 }, () => ask('http1', rig.port, { path: '/' })),
  );
  expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200, 200, 200]);
  expect(rig.opened).toBe(1);
  expect(most).toBe(2);
});
