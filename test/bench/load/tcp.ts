// TCP load: each connection sends a block, waits until all of it came back, and sends the next.
import type { Socket } from 'node:net';

import { openConnection } from './connection.ts';
import type { Meter } from './meter.ts';
import type { LoadOptions } from './options.ts';

export function openTcp(options: LoadOptions, meter: Meter): void {
  const block = Buffer.alloc(options.requestBytes, 'b');
  const open = (): void =>
    openConnection(options, meter, (socket) => echo(socket, block, meter), open);
  open();
}

function echo(socket: Socket, block: Buffer, meter: Meter): void {
  let sentAtMs = 0;
  let left = 0;
  const send = (atMs: number): void => {
    sentAtMs = atMs;
    left = block.length;
    socket.write(block);
  };
  socket.on('data', (chunk: Buffer) => {
    left -= chunk.length;
    if (left > 0) return;
    // The proxy has carried it twice, there and back.
    meter.done(sentAtMs, 2 * block.length);
    meter.ready(send);
  });
  meter.ready(send);
}
