// Calls that were certainly not processed go to another endpoint; all others fail as they are.
import { once } from 'node:events';
import type { Server } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';

import { assert, double, integer, property } from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import type { PortProtocol } from '#api/workload.ts';
import type { UpstreamPool } from '#sidecar/exchange.ts';
import { defaultRetry, delayed, retryDelayMs } from '#sidecar/outbound/retry.ts';
import { openBlackHole } from '#test/black-hole.ts';
import type { UpstreamCall } from '#sidecar/wire/upstream.ts';
import { freePort } from '#test/free-port.ts';

import {
  exchange,
  get,
  inTurn,
  mutual,
  plain,
  readToEnd,
  Rig,
  serviceOf,
  spiffe,
  type TestSidecar,
} from '../rig.ts';

let rig: Rig;
beforeEach(async () => {
  rig = await Rig.create();
});
afterEach(() => rig.close());

const payments = spiffe('shop', 'payments');

/** A sidecar of `payments` before an application at that port. */
function callee(application: number, protocol: PortProtocol): Promise<TestSidecar> {
  return rig.sidecar({ application, protocol });
}

async function callerOf(
  protocol: PortProtocol,
  ...callees: readonly TestSidecar[]
): Promise<TestSidecar> {
  const endpoints = callees.map(({ inboundPort: port }) => ({ port, identity: payments }));
  const services = [serviceOf('payments', endpoints, protocol)];
  return rig.sidecar({ account: 'web', services, traffic: inTurn });
}

const post =
  'POST http://payments/ HTTP/1.1\r\nhost: payments\r\nconnection: close\r\ncontent-length: 5\r\n\r\n';
const call = 'GET http://payments/ HTTP/1.1\r\nhost: payments\r\nconnection: close\r\n\r\n';

// `http` is HTTP/2 between sidecars, `detect` the HTTP/1.1 that the caller speaks.
describe.each(['http', 'detect'] as const)('to a port declared %s', (protocol) => {
  test('what a deaf application did not take, another one answers', async () => {
    const alive = await rig.application((q, s) =>
      q.resume().on('end', () => s.end(`attempt ${String(q.headers['x-envoy-attempt-count'])}`)),
    );
    const deaf = await callee(await freePort(), protocol);
    const client = await callerOf(protocol, deaf, await callee(alive.port, protocol));
    const bodies: string[] = [];
    for (let i = 0; i < 4; i += 1) {
      const raw = i < 2 ? call : `${post}hello`;
      bodies.push((await exchange(await plain(client.outboundPort), raw)).body);
    }
    expect(bodies.toSorted()).toEqual(['attempt 1', 'attempt 1', 'attempt 2', 'attempt 2']);
    expect(client.telemetry.flags).toEqual(['-', '-', '-', '-']);
    // What the callee could not do is in its own log all the same.
    expect(deaf.telemetry.flags).toEqual(['UF', 'UF']);
    expect(deaf.telemetry.ended[0]?.failure).toBe('upstream-connect');
  });

  test('with nobody else it is tried twice more, then it is 503 URX,UR', async () => {
    const deaf = await callee(await freePort(), protocol);
    const client = await callerOf(protocol, deaf);
    const reply = await exchange(await plain(client.outboundPort), call);
    expect(reply).toMatchObject({ status: 503, body: expect.stringContaining('unprocessed') });
    expect(Object.keys(reply.headers)).not.toContain('x-selvage-unanswered');
    expect(client.telemetry.flags).toEqual(['URX,UR']);
    expect(deaf.telemetry.flags).toEqual(['UF', 'UF', 'UF']);
  });

  test('an endpoint whose application came back in time answers the second try', async () => {
    const port = await freePort();
    const sidecar = await callee(port, protocol);
    const client = await callerOf(protocol, sidecar);
    let back: Promise<Server> | undefined;
    // It is back as soon as it has missed one call.
    sidecar.telemetry.end = () => {
      back ??= listenAt(port);
    };
    const statuses: number[] = [];
    while (!statuses.includes(200) && statuses.length < 20) {
      statuses.push((await exchange(await plain(client.outboundPort), call)).status);
    }
    expect(statuses.at(-1)).toBe(200);
    expect(back).toBeDefined();
  });

  test('what the application has answered or read is not tried again', async () => {
    let requests = 0;
    const busy = await rig.application((_q, s) => {
      requests += 1;
      s.writeHead(503, { 'x-selvage-unanswered': 'refused', 'content-length': '4' }).end('busy');
    });
    const broken = await rig.application((q) => {
      requests += 1;
      q.socket.destroy();
    });
    const whole = `${post}hello`;
    const one = await callerOf(protocol, await callee(busy.port, protocol));
    const reply = await exchange(await plain(one.outboundPort), call);
    expect(reply).toMatchObject({ status: 503, body: 'busy' });
    expect(Object.keys(reply.headers)).not.toContain('x-selvage-unanswered');
    const two = await callerOf(protocol, await callee(broken.port, protocol));
    expect((await exchange(await plain(two.outboundPort), whole)).status).toBe(503);
    expect(requests).toBe(2);
    expect(two.telemetry.flags).toEqual(['UC']);
  });

  test('where no answer comes to what may be asked twice, another one is asked', async () => {
    let broken = 0;
    const dying = await rig.application((q) => {
      broken += 1;
      q.socket.destroy();
    });
    const alive = await rig.application((_q, s) => s.end('here'));
    const both = [await callee(dying.port, protocol), await callee(alive.port, protocol)];
    const client = await callerOf(protocol, ...both);
    for (let i = 0; i < 4; i += 1) {
      const reply = await exchange(await plain(client.outboundPort), call);
      expect(reply).toMatchObject({ status: 200, body: 'here' });
    }
    expect(broken).toBe(2);
    broken = 0;
    const alone = await callerOf(protocol, await callee(dying.port, protocol));
    const reply = await exchange(await plain(alone.outboundPort), call);
    expect(reply).toMatchObject({ status: 503, body: 'upstream reset before response' });
    expect(Object.keys(reply.headers)).not.toContain('x-selvage-unanswered');
    expect(alone.telemetry.flags).toEqual(['URX,UC']);
    expect(broken).toBe(3);
  });

  test('a body that is on its way already comes whole to another', async () => {
    const bodies: string[] = [];
    const alive = await rig.application((q, s) => {
      let body = '';
      q.on('data', (bytes: Buffer) => (body += bytes.toString()));
      q.on('end', () => {
        bodies.push(body);
        s.end();
      });
    });
    const deaf = await callee(await freePort(), protocol);
    const client = await callerOf(protocol, deaf, await callee(alive.port, protocol));
    const statuses: number[] = [];
    for (let i = 0; i < 6; i += 1) {
      const socket = await plain(client.outboundPort);
      socket.write(`${post}he`);
      await sleep(i);
      socket.write('llo');
      statuses.push(Number((await readToEnd(socket)).split(' ')[1]));
    }
    expect(statuses).toEqual([200, 200, 200, 200, 200, 200]);
    expect(bodies).toEqual(Array.from({ length: 6 }, () => 'hello'));
  });
});

test('more of a body than is kept is not sent again, and never in part', async () => {
  const sizes: number[] = [];
  const alive = await rig.application((q, s) => {
    let size = 0;
    q.on('data', (bytes: Buffer) => (size += bytes.length));
    q.on('end', () => {
      sizes.push(size);
      s.end();
    });
  });
  const deaf = await callee(await freePort(), 'http');
  const client = await callerOf('http', deaf, await callee(alive.port, 'http'));
  const body = 'x'.repeat(300_000);
  const head = post.replace('content-length: 5', `content-length: ${body.length}`);
  const statuses: number[] = [];
  for (let i = 0; i < 6; i += 1) {
    const socket = await plain(client.outboundPort);
    socket.on('error', () => undefined);
    socket.write(head);
    await sleep(i);
    socket.write(body);
    statuses.push(Number((await readToEnd(socket)).split(' ')[1]));
  }
  expect(statuses.filter((status) => status === 200).length).toBeGreaterThanOrEqual(3);
  expect(new Set(sizes)).toEqual(new Set([body.length]));
});

test('a call that waits for an endpoint which is gone soon goes to those that came', async () => {
  const hole = await openBlackHole();
  rig.onClose(() => hole.close());
  const alive = await rig.application((_q, s) => s.end('here'));
  const next = await callee(alive.port, 'http');
  const endpoints = [{ port: hole.port, identity: payments }];
  const client = await rig.sidecar({
    account: 'web',
    services: [serviceOf('payments', endpoints)],
  });
  const waiting = exchange(await plain(client.outboundPort), call);
  await sleep(50);
  const now = [{ port: next.inboundPort, identity: payments }];
  client.apply({ services: [serviceOf('payments', now)] });
  expect(await waiting).toMatchObject({ status: 200, body: 'here' });
  expect(client.telemetry.flags).toEqual(['-']);
});

test('only peers of the mesh are told: over plaintext the 503 is plain, over HTTP/1.1 it has a header', async () => {
  const deaf = await callee(await freePort(), 'http');
  const toStranger = await exchange(await plain(deaf.inboundPort), get('/'));
  expect(toStranger.status).toBe(503);
  expect(toStranger.headers['x-selvage-unanswered']).toBeUndefined();
  const peer = await rig.issued(spiffe('shop', 'web'));
  const toPeer = await exchange(await mutual(deaf.inboundPort, peer), get('/'));
  expect(toPeer).toMatchObject({ status: 503, headers: { 'x-selvage-unanswered': 'refused' } });
});

test('waits grow from 25 ms on and stay below 250', () => {
  assert(
    property(
      integer({ min: 1, max: 40 }),
      double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
      (failed, random) => {
        const delayMs = retryDelayMs(defaultRetry, failed, random);
        expect(delayMs).toBeGreaterThanOrEqual(0);
        expect(delayMs).toBeLessThanOrEqual(25 * Math.min(10, 2 ** failed - 1));
      },
    ),
  );
  expect(retryDelayMs(defaultRetry, 2, 1)).toBe(75);
});

test('a call that gives up while it waits never reaches the pool', async () => {
  const asked: string[] = [];
  const pool: UpstreamPool = {
    address: '10.0.0.1:80',
    request: () => void asked.push('request'),
    cancel: () => void asked.push('cancel'),
    close: () => undefined,
  };
  const waiting = {} as UpstreamCall;
  const given = delayed(pool, 5);
  given.request(waiting);
  given.cancel(waiting);
  await sleep(20);
  expect(asked).toEqual([]);
  const kept = delayed(pool, 1);
  kept.request(waiting);
  await sleep(20);
  kept.cancel(waiting);
  expect(asked).toEqual(['request', 'cancel']);
});

async function listenAt(port: number): Promise<Server> {
  const { server } = await rig.application((_q, s) => s.end('back'));
  server.close();
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  return server;
}
