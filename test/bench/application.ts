// The application behind every proxy: HTTP/1.1, HTTP/2 in plaintext with gRPC, and an echo of bytes.
//
//   forked; sends its ports. /api/v1/65536 is answered by 64 KB, as a gRPC message to a gRPC call
import { createServer as createHttp2, type Http2Server, type ServerHttp2Stream } from 'node:http2';
import { createServer, type Server, type Socket } from 'node:net';
import { once } from 'node:events';

/** Where each protocol is served. */
export interface ApplicationPorts {
  readonly http: number;
  readonly grpc: number;
  readonly tcp: number;
}

const answers = new Map<number, Buffer>();
const messages = new Map<number, Buffer>();

const http2 = createHttp2({ settings: { initialWindowSize: 1024 * 1024 } });
http2.on('stream', (stream: ServerHttp2Stream, headers) =>
  answerStream(stream, String(headers[':path'])),
);
http2.on('sessionError', () => undefined);

if (import.meta.main) {
  const ports: ApplicationPorts = {
    http: await listen(createServer({ noDelay: true }, serve)),
    grpc: await listen(http2),
    tcp: await listen(createServer({ noDelay: true }, echo)),
  };
  process.on('disconnect', () => process.exit(0));
  process.send?.(ports);
}

async function listen(server: Server | Http2Server): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : 0;
}

function serve(socket: Socket): void {
  let rest = '';
  let bodyLeft = 0;
  socket.on('error', () => undefined);
  socket.on('data', (chunk: Buffer) => {
    let at = 0;
    while (at < chunk.length) {
      const run = Math.min(bodyLeft, chunk.length - at);
      bodyLeft -= run;
      at += run;
      if (at === chunk.length) return;
      const end = endOfHead(rest, chunk, at);
      if (end < 0) {
        rest += chunk.toString('latin1', at);
        return;
      }
      const head = rest + chunk.toString('latin1', at, end);
      rest = '';
      at = end;
      bodyLeft = Number(/\r\ncontent-length: *(\d+)/i.exec(head)?.[1] ?? 0);
      socket.write(answer(bytesWanted(head.slice(0, head.indexOf(' HTTP/')))));
    }
  });
}

/** Where the head's last line has ended, which may have begun in an earlier chunk; -1: not in this one. */
function endOfHead(rest: string, chunk: Buffer, from: number): number {
  for (let split = Math.min(3, rest.length); split > 0; split -= 1) {
    const ending = rest.slice(-split) + chunk.toString('latin1', from, from + 4 - split);
    if (ending === '\r\n\r\n') return from + 4 - split;
  }
  const at = chunk.indexOf('\r\n\r\n', from);
  return at < 0 ? -1 : at + 4;
}

function bytesWanted(target: string): number {
  return Number(/\/(\d+)$/.exec(target)?.[1] ?? 0);
}

function answer(bytes: number): Buffer {
  let made = answers.get(bytes);
  if (made === undefined) {
    const head =
      'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n' +
      `date: Thu, 01 Jan 2026 00:00:00 GMT\r\ncontent-length: ${bytes}\r\n\r\n`;
    made = Buffer.concat([Buffer.from(head), Buffer.alloc(bytes, 'r')]);
    answers.set(bytes, made);
  }
  return made;
}

/** Unary: the answer follows the request's end. */
function answerStream(stream: ServerHttp2Stream, target: string): void {
  stream.on('error', () => undefined);
  stream.resume();
  stream.once('end', () => {
    const type = 'application/grpc';
    stream.respond({ ':status': 200, 'content-type': type }, { waitForTrailers: true });
    stream.once('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
    stream.end(message(bytesWanted(target)));
  });
}

function message(bytes: number): Buffer {
  let made = messages.get(bytes);
  if (made === undefined) {
    made = Buffer.alloc(5 + bytes, 'r');
    made[0] = 0;
    made.writeUInt32BE(bytes, 1);
    messages.set(bytes, made);
  }
  return made;
}

function echo(socket: Socket): void {
  socket.on('error', () => undefined);
  socket.pipe(socket);
}
