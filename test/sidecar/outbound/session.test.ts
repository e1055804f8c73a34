// Sessions of routes, through real sockets: callers stay with an endpoint, for as long as is said and it is there.
import * as fc from 'fast-check';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';

import type { RouteGroup, SessionPersistence, WeightedDestination } from '#api/traffic/route.ts';
import { readToken, writeToken } from '#sidecar/routing/session.ts';

import { exchange, plain, Rig, serviceOf, type HttpReply, type TestSidecar } from '../rig.ts';

let rig: Rig;
beforeEach(async () => {
  rig = await Rig.create();
});
afterEach(async () => {
  vi.useRealTimers();
  await rig.close();
});

const names = ['one', 'two', 'three'] as const;

function to(name: string): WeightedDestination {
  const host = `${name}.shop.svc.cluster.local`;
  return { destination: { host, port: 80, subset: '' }, weight: 1 };
}

function pass(seconds: number): void {
  vi.setSystemTime(Date.now() + seconds * 1000);
}

/** Three endpoints of two services that the route splits its calls between, and which of them there still are. */
async function caller(session: SessionPersistence): Promise<{
  sidecar: TestSidecar;
  leave: (name: string) => void;
}> {
  const ports = new Map<string, number>();
  for (const name of names) {
    const { port } = await rig.application((_request, response) => response.end(`<${name}>`));
    ports.set(name, port);
  }
  const services = (gone = '') => {
    const at = (...some: string[]) =>
      some.filter((name) => name !== gone).map((name) => ({ port: ports.get(name) ?? 0 }));
    return [serviceOf('shop', at('one', 'two')), serviceOf('canary', at('three'))];
  };
  const group: RouteGroup = {
    key: 'HTTPRoute/shop/shop',
    hosts: ['shop.shop.svc.cluster.local'],
    port: 0,
    http: [
      {
        name: 'r',
        source: 'HTTPRoute shop/r',
        path: 'spec.rules[0]',
        matches: [],
        action: { kind: 'forward', destinations: [to('shop'), to('canary')], session },
      },
    ],
    tls: [],
    tcp: [],
  };
  const sidecar = await rig.sidecar({
    account: 'web',
    services: services(),
    traffic: { routes: [group] },
  });
  return { sidecar, leave: (name) => sidecar.apply({ services: services(name) }) };
}

async function ask(sidecar: TestSidecar, ...lines: string[]): Promise<HttpReply> {
  const head = ['GET / HTTP/1.1', 'host: shop.shop', 'connection: close', ...lines];
  return exchange(await plain(sidecar.outboundPort), `${head.join('\r\n')}\r\n\r\n`);
}

const nameIn = ({ body }: HttpReply): string => /<(\w+)>/.exec(body)?.[1] ?? body;
const cookieOf = ({ headers }: HttpReply): string => headers['set-cookie']?.split(';')[0] ?? '';

test('a caller that brings its cookie stays with its endpoint, others are spread', async () => {
  const { sidecar } = await caller({ kind: 'cookie', name: 'stay' });
  const met = new Set<string>();
  for (let i = 0; i < 40; i += 1) {
    const first = await ask(sidecar);
    met.add(nameIn(first));
    if (met.size === names.length) break;
    expect(first.headers['set-cookie']).toMatch(/^stay=[-\w]+; Path=\/; HttpOnly$/);
    for (let j = 0; j < 5; j += 1) {
      const next = await ask(sidecar, `cookie: a=b; ${cookieOf(first)}`);
      expect([nameIn(next), cookieOf(next)]).toEqual([nameIn(first), '']);
    }
  }
  expect([...met].toSorted()).toEqual(names.toSorted());
});

test('the same by a header, which the answer names', async () => {
  const { sidecar } = await caller({ kind: 'header', name: 'x-stay' });
  const first = await ask(sidecar);
  const token = first.headers['x-stay'] ?? '';
  for (let i = 0; i < 10; i += 1) {
    expect(nameIn(await ask(sidecar, `x-stay: ${token}`))).toBe(nameIn(first));
  }
});

test('a session whose endpoint has gone begins anew, at another one', async () => {
  const { sidecar, leave } = await caller({ kind: 'cookie', name: 'stay' });
  const first = await ask(sidecar);
  leave(nameIn(first));
  const services = sidecar.inForce.current()?.snapshot.services ?? [];
  const left = services.flatMap(({ ports }) => ports.flatMap(({ endpoints }) => endpoints));
  expect(left).toHaveLength(2);
  let next = await ask(sidecar, `cookie: ${cookieOf(first)}`);
  // Where it was the canary that left, its share of new sessions has nobody.
  while (next.status === 503) next = await ask(sidecar, `cookie: ${cookieOf(first)}`);
  expect(nameIn(next)).not.toBe(nameIn(first));
  const again = await ask(sidecar, `cookie: ${cookieOf(next)}`);
  expect(nameIn(again)).toBe(nameIn(next));
});

test('sessions end in time: after silence, or whatever is done', async () => {
  vi.useFakeTimers({ toFake: ['Date'] });
  const idle = await caller({ kind: 'cookie', name: 'stay', idleS: 10 });
  let cookie = cookieOf(await ask(idle.sidecar));
  for (let i = 0; i < 4; i += 1) {
    pass(6);
    const renewed = cookieOf(await ask(idle.sidecar, `cookie: ${cookie}`));
    expect(createdOf(renewed)).toBe(createdOf(cookie));
    expect(renewed).not.toBe(cookie);
    cookie = renewed;
  }
  pass(11);
  const late = cookieOf(await ask(idle.sidecar, `cookie: ${cookie}`));
  expect(createdOf(late)).toBeGreaterThan(createdOf(cookie));

  const whole = await caller({ kind: 'cookie', name: 'stay', absoluteS: 20, permanent: true });
  const first = await ask(whole.sidecar);
  expect(first.headers['set-cookie']).toContain('; Max-Age=20; Path=/');
  pass(19);
  expect(cookieOf(await ask(whole.sidecar, `cookie: ${cookieOf(first)}`))).toBe('');
  pass(2);
  expect(cookieOf(await ask(whole.sidecar, `cookie: ${cookieOf(first)}`))).not.toBe('');
});

function createdOf(cookie: string): number {
  return readToken(cookie.slice(cookie.indexOf('=') + 1))?.createdS ?? 0;
}

test('what a caller makes up leads nowhere but to endpoints of its route', async () => {
  const { sidecar } = await caller({ kind: 'cookie', name: 'stay' });
  const { port } = await rig.application((_request, response) => response.end('<secret>'));
  const host = 'shop.shop.svc.cluster.local';
  const own = { createdS: 0, usedS: 0, host, port: 80, address: `127.0.0.1:${port}` };
  for (const text of [writeToken(own), writeToken({ ...own, host: 'other' }), 'W10', '%', '']) {
    const reply = await ask(sidecar, `cookie: stay=${text}`);
    expect(names).toContain(nameIn(reply));
    expect(cookieOf(reply)).not.toBe('');
  }
});

test('a token is read as it was written, and any text is read without a fault', () => {
  const token = fc.record({
    createdS: fc.maxSafeNat(),
    usedS: fc.maxSafeNat(),
    host: fc.string(),
    port: fc.nat(65_535),
    address: fc.string(),
  });
  fc.assert(
    fc.property(token, (one) => {
      expect(readToken(writeToken(one))).toEqual(one);
    }),
  );
  const json = fc.json().map((text) => Buffer.from(text).toString('base64url'));
  fc.assert(
    fc.property(fc.oneof(fc.string(), json), (text) => {
      expect(readToken(text)).toBeNull();
    }),
  );
});
