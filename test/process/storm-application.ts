// An application that answers, resets, stalls or babbles, as the path says. Tells its parent its port.
import { createServer } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';

const server = createServer((request, response) => {
  const { url = '', socket } = request;
  if (url.startsWith('/reset')) socket.resetAndDestroy();
  else if (url.startsWith('/half')) {
    response.writeHead(200, { 'content-length': '100' }).write('half');
    setTimeout(() => socket.resetAndDestroy(), 2);
  } else if (url.startsWith('/babble')) {
    socket.write('HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nxHTTP/1.1 200 OK\r\n\r\nmore');
    setTimeout(() => socket.destroy(), 2);
  } else if (url.startsWith('/big')) response.end(Buffer.alloc(300_000));
  else if (!url.startsWith('/never')) response.end('ok');
});
server.on('upgrade', (_request, socket: Socket) => {
  socket.on('error', () => undefined);
  socket.write('HTTP/1.1 101 Go\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n');
  socket.on('data', (bytes: Buffer) => socket.write(bytes));
  socket.on('end', () => socket.end());
});
server.on('clientError', (_error, socket) => socket.destroy());
server.listen(0, '127.0.0.1', () => process.send?.((server.address() as AddressInfo).port));
process.on('disconnect', () => process.exit());
