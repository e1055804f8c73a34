// The application's way out without capture: an HTTP proxy on loopback, found by HTTP_PROXY.
import { createServer, type Server, type Socket } from 'node:net';

import type { Connections } from '../connections.ts';
import type { HttpServer } from '../wire/http-server.ts';
import { OutboundConnection } from './connection.ts';

export class OutboundListener {
  readonly #connections: Connections;
  readonly #http: HttpServer;
  readonly #server: Server;

  constructor(connections: Connections, http: HttpServer) {
    this.#connections = connections;
    this.#http = http;
    this.#server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) =>
      this.#accept(socket),
    );
  }

  /** Resolves with the port. */
  async listen(host: string, port: number): Promise<number> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#server.once('error', reject);
    this.#server.listen({ host, port, backlog: 1024 }, resolve);
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

  #accept(socket: Socket): void {
    // Told by `close`; without a listener an error would end the process.
    socket.on('error', () => undefined);
    const connection = new OutboundConnection(socket);
    this.#connections.add(connection);
    socket.once('close', () => this.#connections.delete(connection));
    connection.http = this.#http.accept(socket, connection, null);
  }
}
