// Free loopback ports in a stable order, so that the URLs of a local mesh are the same at each start.
import { createServer } from 'node:net';

/** Below the ephemeral range of Linux and macOS, so that no outgoing connection takes one of them. */
const firstPort = 21_000;
const lastPort = 32_000;

/** Hands out ports that nobody listens on, each one once. */
export class PortRange {
  #next: number;

  constructor(first: number = firstPort) {
    this.#next = first;
  }

  /** @throws when the range is used up */
  async take(): Promise<number> {
    while (this.#next < lastPort) {
      const port = this.#next;
      this.#next += 1;
      if (await isFree(port)) return port;
    }
    throw new Error(`no free port between ${firstPort} and ${lastPort}`);
  }
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen({ port, host: '127.0.0.1', exclusive: true }, () => {
      server.close(() => resolve(true));
    });
  });
}
