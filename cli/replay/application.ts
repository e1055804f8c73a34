// The application behind a sidecar under replay: tells the HTTP client what arrived, echoes anything else.
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';

/** In every HTTP answer: the head of the request as it arrived, base64 of its bytes. */
export const arrivedHeader = 'x-replay-arrived';

/** Listens on loopback. HTTP is told from other bytes by its version, so that heads that no parser takes count too. */
export async function startApplication(): Promise<{ port: number; close(): void }> {
  const open = new Set<Socket>();
  const server = createServer({ noDelay: true }, (socket) => {
    open.add(socket);
    socket.on('close', () => open.delete(socket));
    socket.on('error', ignore);
    serve(socket);
  });
  await listen(server);
  return {
    port: (server.address() as AddressInfo).port,
    close: () => {
      server.close();
      for (const socket of open) socket.destroy();
    },
  };
}

/** Resolves when `server` listens on a free port of 127.0.0.1. */
export async function listen(server: Server): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once('error', reject);
  server.listen(0, '127.0.0.1', resolve);
  await promise;
}

const httpVersion = / HTTP\/1\.[01]\r\n/;
const requestLineBytesMax = 64 * 1024;

function serve(socket: Socket): void {
  let text = '';
  const onData = (chunk: Buffer): void => {
    text += chunk.toString('latin1');
    const lineEnd = text.indexOf('\n') + 1;
    if (lineEnd === 0 && text.length < requestLineBytesMax && !isBinary(chunk)) return;
    if (!httpVersion.test(text.slice(0, lineEnd))) {
      socket.off('data', onData);
      socket.write(text, 'latin1');
      socket.pipe(socket);
      return;
    }
    for (let end = text.indexOf('\r\n\r\n'); end !== -1; end = text.indexOf('\r\n\r\n')) {
      answer(socket, text.slice(0, end));
      text = text.slice(end + 4);
    }
  };
  socket.on('data', onData);
}

/** The requests of recordings have no bodies. */
function answer(socket: Socket, head: string): void {
  const arrived = Buffer.from(head, 'latin1').toString('base64');
  socket.write(`HTTP/1.1 200 OK\r\ncontent-length: 0\r\n${arrivedHeader}: ${arrived}\r\n\r\n`);
}

/** The first byte of a TLS record. */
function isBinary(chunk: Buffer): boolean {
  return chunk[0] === 22;
}

function ignore(): void {}
