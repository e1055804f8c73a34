// Accepts connections of the application, for the HTTP proxy and for captured ones alike.
import { createServer, type Server, type Socket } from 'node:net';

import { listen } from '#runtime/listen.ts';
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
  listen(address: Address, shared: boolean): Promise<number> {
    return listen(this.#server, { ...address, backlog: 1024, reusePort: shared });
  }

  /** Takes no new connections; those that are open are the registry's. */
  close(): void {
    this.#server.close();
  }
}
