// Accepts connections of the application, for the HTTP proxy and for captured ones alike.
import { createServer, type Server, type Socket } from 'node:net';

import type { Address } from '#runtime/setting-types.ts';

export class OutboundListener {
  readonly #server: Server;

  /** @param accept gets each socket, half-open allowed and its errors heard */
  constructor(accept: (socket: Socket) => void) {
    this.#server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
      // Told by `close`; without a listener an error would end the process.
      socket.on('error', () => undefined);
      accept(socket);
    });
  }

  /**
   * Resolves with the port; an empty host is every address, IPv6 too where the system has it.
   * @param shared others may listen on it too (SO_REUSEPORT)
   */
  async listen({ host, port }: Address, shared: boolean): Promise<number> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#server.once('error', reject);
    this.#server.listen(
      { ...(host !== '' && { host }), port, backlog: 1024, reusePort: shared },
      resolve,
    );
    await promise;
    // A connection that could not be accepted (ENOBUFS, ENOMEM): the next one may be.
    this.#server.on('error', () => undefined);
    const address = this.#server.address();
    return address === null || typeof address === 'string' ? port : address.port;
  }

  /** Takes no new connections; those that are open are the registry's. */
  close(): void {
    this.#server.close();
  }
}
