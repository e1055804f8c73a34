// A name server for tests, by UDP and TCP on one port: it does what the test says with each question.
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';

import { readMessages, writeMessage } from '#sidecar/dns/tcp-messages.ts';
import { freePort } from '#test/free-port.ts';

export interface NameServer {
  readonly port: number;
  /** Ports that questions came from by UDP. */
  readonly sources: number[];
  close(): void;
}

/** @param answer gives the messages to send back, in their order */
export async function nameServer(
  answer: (query: Buffer, transport: 'udp' | 'tcp') => readonly Buffer[],
): Promise<NameServer> {
  const port = await freePort();
  const sources: number[] = [];
  const udp = createSocket('udp4');
  udp.on('message', (query, peer) => {
    sources.push(peer.port);
    for (const one of answer(query, 'udp')) udp.send(one, peer.port, peer.address);
  });
  udp.bind(port, '127.0.0.1');
  await once(udp, 'listening');
  const sockets = new Set<Socket>();
  const tcp = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.on(
      'data',
      readMessages(65_535, (query) => {
        for (const one of answer(query ?? Buffer.alloc(0), 'tcp')) socket.write(writeMessage(one));
      }),
    );
  });
  tcp.listen(port, '127.0.0.1');
  await once(tcp, 'listening');
  return {
    port,
    sources,
    close: () => {
      udp.close();
      tcp.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}
