// An application on llhttp that remembers each request it read, by the mark that the front proxy gave it.
import { once } from 'node:events';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';

import { Llhttp } from './llhttp.ts';
import type { FuzzReading } from './reading.ts';

/** The header that a front adds to each request it forwards: `<path>-<client port>`. */
export const markName = 'x-front';

export interface Seen {
  readonly requests: FuzzReading[];
  /** What no request of a front can look like here: the front and what is behind it disagree. */
  readonly wrong: string[];
}

/** More bytes than this of one request are not looked through. */
const pendingMax = 65_536;

export class Echo {
  port = 0;
  private readonly server: Server;
  private readonly sockets = new Set<Socket>();
  private readonly seen = new Map<string, Seen>();
  /** What is wrong and came when its client had gone, by mark. */
  private late = new Map<string, string[]>();

  private constructor() {
    this.server = createServer({ noDelay: true }, (socket) => this.serve(socket));
  }

  static async start(): Promise<Echo> {
    const echo = new Echo();
    echo.server.listen(0, '127.0.0.1');
    await once(echo.server, 'listening');
    echo.port = (echo.server.address() as AddressInfo).port;
    return echo;
  }

  /** Requests with that mark are to come: its client is connected. */
  expect(mark: string): void {
    this.seen.set(mark, { requests: [], wrong: [] });
  }

  /** What came under that mark; its client is gone. */
  take(mark: string): Seen {
    const seen = this.seen.get(mark) ?? { requests: [], wrong: [] };
    this.seen.delete(mark);
    return seen;
  }

  /** What was wrong after its client had gone, since it was asked last. */
  takeLate(): ReadonlyMap<string, readonly string[]> {
    const { late } = this;
    this.late = new Map();
    return late;
  }

  stop(): void {
    for (const socket of this.sockets) socket.destroy();
    this.server.close();
  }

  private blame(mark: string, wrong: string): void {
    const seen = this.seen.get(mark);
    if (seen !== undefined) seen.wrong.push(wrong);
    else this.late.set(mark, [...(this.late.get(mark) ?? []), wrong]);
  }

  private serve(socket: Socket): void {
    const reader = new Llhttp();
    let mark = '';
    let pending = '';
    reader.onHead = (request) => {
      if (request.lines.some(([name]) => name === 'expect')) {
        socket.write('HTTP/1.1 100 Continue\r\n\r\n');
      }
    };
    reader.onRequest = (request) => {
      const marks = request.lines.filter(([name]) => name === markName).map(([, value]) => value);
      const hidden = marks.length !== 1;
      mark = marks[0] ?? mark;
      pending = '';
      this.seen.get(mark)?.requests.push(request);
      if (hidden) this.blame(mark, `a request with ${marks.length} marks`);
      if (holdsMark(request)) this.blame(mark, 'a request within a request');
      const body = request.method === 'HEAD' ? '' : 'ok';
      socket.write(`HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n${body}`);
    };
    socket.on('data', (chunk: Buffer) => {
      if (pending.length < pendingMax) pending += chunk.toString('latin1');
      reader.take(chunk);
      const { end } = reader.readings;
      if (end === 'more' || end === 'whole') return;
      const last = /x-front: ?(\S+)/i.exec(pending)?.[1] ?? mark;
      if (end !== 'upgrade') this.blame(last, `bytes that are ${end}`);
      socket.end('HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n');
    });
    socket.on('error', () => {});
    socket.on('close', () => this.sockets.delete(socket));
    this.sockets.add(socket);
  }
}

/** Whether what a front took for a whole request is inside of this one. */
function holdsMark({ body, target, lines, trailers }: FuzzReading): boolean {
  const values = [...lines, ...trailers].filter(([name]) => name !== markName).flat();
  return [body, target, ...values].some((text) => text.toLowerCase().includes(`${markName}:`));
}
