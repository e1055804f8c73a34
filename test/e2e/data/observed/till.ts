// Two ports of one program: HTTP that answers with the status that the path names, and lines that come back in capitals.
import { createServer as createHttpServer } from 'node:http';
import { createServer } from 'node:net';

createHttpServer((request, response) => {
  const status = Number(/^\/status\/(\d{3})/.exec(request.url ?? '')?.[1] ?? 200);
  request.resume().on('end', () => response.writeHead(status).end('paid\n'));
}).listen(Number(process.env['PORT_WEB']), '127.0.0.1');

createServer((socket) => {
  socket.on('error', () => socket.destroy());
  socket.on('data', (bytes) => socket.write(String(bytes).toUpperCase()));
}).listen(Number(process.env['PORT_LINES']), '127.0.0.1');
