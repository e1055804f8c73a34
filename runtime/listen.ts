// Begins to listen, for every server of every process: fails once and for all, or goes on whatever a connection does.
import type { AddressInfo, Server } from 'node:net';

export interface ListenOptions {
  /** '': every address, IPv6 too where the host has it. */
  readonly host: string;
  /** 0: the system chooses. */
  readonly port: number;
  /** Connections that may wait to be accepted; Node's own choice where it is left out. */
  readonly backlog?: number;
  /** Others may listen on it too (SO_REUSEPORT). */
  readonly reusePort?: boolean;
}

/** Resolves with the port; rejects when it cannot be listened on. */
export function listen(server: Server, { host, ...rest }: ListenOptions): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ ...(host !== '' && { host }), ...rest }, () => {
      server.off('error', reject);
      // A connection that could not be accepted (ENOBUFS, ENOMEM): the next one may be.
      server.on('error', () => undefined);
      resolve((server.address() as AddressInfo).port);
    });
  });
}
