// HTTP/1.1 load: one call at a time on each connection.
import type { Socket } from 'node:net';

import { openConnection } from './connection.ts';
import type { Meter } from './meter.ts';
import type { LoadOptions } from './options.ts';

export function openHttp1(options: LoadOptions, meter: Meter): void {
  const request = requestOf(options);
  const open = (): void =>
    openConnection(options, meter, (socket) => serve(socket, request, meter), open);
  open();
}

/** The bytes of a request; shared by all connections. */
export function requestOf({ method, target, requestBytes }: LoadOptions): Buffer {
  const length = requestBytes === 0 ? '' : `content-length: ${requestBytes}\r\n`;
  const head =
    `${method} ${target} HTTP/1.1\r\nhost: server.bench:8080\r\nuser-agent: bench/1.0\r\n` +
    `accept: application/json\r\naccept-encoding: gzip, br\r\n${length}\r\n`;
  return Buffer.concat([Buffer.from(head), Buffer.alloc(requestBytes, 'q')]);
}

function serve(socket: Socket, request: Buffer, meter: Meter): void {
  let sentAtMs = 0;
  const send = (atMs: number): void => {
    sentAtMs = atMs;
    socket.write(request);
  };
  readAnswers(socket, (statusLine) => {
    if (statusLine.startsWith('HTTP/1.1 200')) meter.done(sentAtMs, 1);
    else meter.fail(statusLine);
    meter.ready(send);
  });
  meter.ready(send);
}

/** Calls `answered` at the end of each answer; all have a content-length. */
export function readAnswers(socket: Socket, answered: (statusLine: string) => void): void {
  /** Bytes of the present answer still to come; -1: its head is not read yet. */
  let left = -1;
  let head = '';
  socket.on('data', (chunk: Buffer) => {
    let from = 0;
    if (left < 0) {
      const end = chunk.indexOf('\r\n\r\n');
      if (end < 0) {
        head += chunk.toString('latin1');
        return;
      }
      head += chunk.toString('latin1', 0, end + 4);
      from = end + 4;
      left = Number(/content-length: *(\d+)/i.exec(head)?.[1] ?? 0);
    }
    left -= chunk.length - from;
    if (left > 0) return;
    left = -1;
    const statusLine = head.slice(0, head.indexOf('\r'));
    head = '';
    answered(statusLine);
  });
}
