// An application that misbehaves in one way after another: it fails, hangs, resets, dies and comes back, slows down.
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';

export const moods = [
  'fine',
  'failing',
  'unavailable',
  'hung',
  'resetting',
  'dead',
  'slow',
] as const;
export type Mood = (typeof moods)[number];

const slowMs = 120;

export class ChaosEndpoint {
  mood: Mood = 'fine';
  port = 0;
  #server: Server | null = null;

  async start(): Promise<this> {
    await this.#listen();
    return this;
  }

  /** Takes another mood; what hangs goes on hanging, until its caller gives up. */
  async become(mood: Mood): Promise<void> {
    const before = this.mood;
    this.mood = mood;
    if (mood === 'dead') this.#die();
    else if (before === 'dead') await this.#listen();
  }

  close(): void {
    this.#die();
  }

  async #listen(): Promise<void> {
    const server = createServer((request, response) => this.#serve(request, response));
    this.#server = server;
    server.listen(this.port, '127.0.0.1');
    await once(server, 'listening');
    this.port = (server.address() as AddressInfo).port;
  }

  #die(): void {
    this.#server?.close();
    this.#server?.closeAllConnections();
    this.#server = null;
  }

  #serve(request: IncomingMessage, response: ServerResponse): void {
    let bytes = 0;
    request.on('data', (chunk: Buffer) => (bytes += chunk.length));
    request.on('error', () => undefined);
    request.on('end', () => this.#answer(request.socket, response, bytes));
  }

  #answer(socket: Socket, response: ServerResponse, bytes: number): void {
    const { mood } = this;
    if (mood === 'hung' || mood === 'dead') return;
    if (mood === 'resetting') socket.resetAndDestroy();
    else if (mood === 'failing') response.writeHead(500).end('failing');
    else if (mood === 'unavailable') response.writeHead(503).end('x'.repeat(20_000));
    else if (mood === 'slow') setTimeout(() => response.end(`took ${bytes}`), slowMs);
    else response.end(`took ${bytes}`);
  }
}
