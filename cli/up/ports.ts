// Free loopback ports in a stable order, so that the URLs of a local mesh are the same at each start.
import { createServer, type Server } from 'node:net';

/** Below the ephemeral range of Linux and macOS, so that no outgoing connection takes one of them. */
export const defaultFirstPort = 21_000;
export const lastPort = 32_000;

/** Meshes that run at the same time begin this far apart. */
const portsApart = 1000;

/** Hands out ports that nobody listens on, each one once. */
export class PortRange {
  /** Listens on the first port of the range for as long as the range is in use. */
  readonly #claim: Server;
  #next: number;

  private constructor(claim: Server, next: number) {
    this.#claim = claim;
    this.#next = next;
  }

  /**
   * Takes the first range that no other mesh has: two that start in the same moment would find the same ports free.
   * @throws when all are taken
   */
  static async claim(first: number): Promise<PortRange> {
    for (let port = first; port < lastPort; port += portsApart) {
      const claim = await listen(port);
      if (claim !== null) return new PortRange(claim.unref(), port + 1);
    }
    throw new Error(`no free port between ${first} and ${lastPort}`);
  }

  /** @throws when the range is used up */
  async take(): Promise<number> {
    while (this.#next < lastPort) {
      const port = this.#next;
      this.#next += 1;
      const server = await listen(port);
      if (server === null) continue;
      await closed(server);
      return port;
    }
    throw new Error(`no free port below ${lastPort}`);
  }

  async release(): Promise<void> {
    await closed(this.#claim);
  }
}

/** Null: somebody else listens there. */
function listen(port: number): Promise<Server | null> {
  return new Promise((resolve) => {
    const server = createServer((socket) => socket.destroy());
    server.once('error', () => resolve(null));
    server.listen({ port, host: '127.0.0.1', exclusive: true }, () => resolve(server));
  });
}

function closed(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
  });
}
