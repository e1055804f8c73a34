import { createServer, type AddressInfo } from 'node:net';
import { once } from 'node:events';

import { expect, test } from 'vitest';

import { CallError } from '#cli/calls/failure.ts';
import { dashboard } from '#cli/dashboard.ts';
import { demo } from '#cli/demo.ts';
import type { Sidecars } from '#cli/sidecars/source.ts';

import { freePort } from '../free-port.ts';
import { FakeMesh, shop } from './dashboard/fake-mesh.ts';
import { testIo } from './output.ts';

test('it prints its address, serves until it is interrupted, and then lets go of the mesh', async () => {
  const io = testIo();
  const mesh = new FakeMesh(shop);
  let closed = 0;
  const sidecars = { ...mesh.sidecars, close: async () => void (closed += 1) };
  const interrupted = new AbortController();
  const port = await freePort();
  const ended = dashboard(
    ['--port', String(port)],
    io,
    async () => sidecars,
    () => interrupted.signal,
  );
  await expect.poll(() => io.out()).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/\?token=[\w-]{32}\n/);
  expect(io.out()).toContain(`:${port}/`);
  expect((await fetch(io.out().split('\n')[0] ?? '')).status).toBe(200);
  interrupted.abort();
  expect(await ended).toBe(0);
  expect(closed).toBeGreaterThan(0);
  await expect(fetch(`http://127.0.0.1:${port}/`)).rejects.toThrow('fetch failed');
});

test('a port that somebody has is told', async () => {
  const other = createServer().listen(0, '127.0.0.1');
  await once(other, 'listening');
  const { port } = other.address() as AddressInfo;
  const io = testIo();
  expect(await dashboard(['--port', String(port)], io, openFake)).toBe(2);
  expect(io.err()).toContain('EADDRINUSE');
  other.close();
});

test.each([
  [['--port', 'x'], '--port is a number from 0 to 65535, not "x"'],
  [['--prot', '1'], 'did you mean --port?'],
  [['here'], 'there is no argument here'],
])('%s is wrong usage', async (args, sentence) => {
  const io = testIo();
  expect(await dashboard(args, io, openFake)).toBe(2);
  expect(io.err()).toContain(sentence);
});

test('without a mesh it says what to start', async () => {
  const io = testIo();
  expect(await dashboard([], io, openNothing)).toBe(2);
  expect(io.err()).toBe('selvage dashboard: no mesh runs here\n');
});

test('demo knows of it', async () => {
  const io = testIo();
  expect(await demo(['--no-dashbord'], io)).toBe(2);
  expect(io.err()).toContain('only --once and --no-dashboard');
});

function openFake(): Promise<Sidecars> {
  return Promise.resolve(new FakeMesh(shop).sidecars);
}

function openNothing(): Promise<Sidecars> {
  return Promise.reject(new CallError('no mesh runs here'));
}
