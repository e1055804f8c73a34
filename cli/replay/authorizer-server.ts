// The external authorizer of the recordings as a server: 200 to `x-ext-authz: allow`, else 403.
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

import { listen } from './application.ts';

export async function startAuthorizer(): Promise<{ port: number; close(): void }> {
  const server = createServer((request, response) => {
    response.writeHead(request.headers['x-ext-authz'] === 'allow' ? 200 : 403).end();
  });
  await listen(server);
  return {
    port: (server.address() as AddressInfo).port,
    close: () => {
      server.close();
      server.closeAllConnections();
    },
  };
}
