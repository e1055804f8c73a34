// What becomes of a listener that could not accept a connection.
import { Server } from 'node:net';

import { afterEach, expect, test, vi } from 'vitest';

import { startAdmin } from '#runtime/admin.ts';

import { exchange, get, plain, Rig } from './rig.ts';

afterEach(() => vi.restoreAllMocks());

test('a connection that cannot be accepted ends neither the listener nor the process', async () => {
  const listening = vi.spyOn(Server.prototype, 'listen');
  const rig = await Rig.create();
  const { port, server: application } = await rig.application();
  const sidecar = await rig.sidecar({ application: port });
  const admin = await startAdmin({ port: 0, routes: [] });
  const servers = listening.mock.contexts.filter(
    (server): server is Server => server instanceof Server && server !== (application as Server),
  );
  expect(servers).toHaveLength(3);
  for (const server of servers) {
    for (let i = 0; i < 2; i += 1) server.emit('error', new Error('accept ENOBUFS'));
  }
  expect((await exchange(await plain(sidecar.inboundPort), get('/'))).status).toBe(200);
  await admin.close();
  await rig.close();
});
