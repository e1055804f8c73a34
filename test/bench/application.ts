// The application behind every proxy: answers each request with as many bytes as its path asks for.
//
//   node test/bench/application.ts   -> prints its port; /api/v1/65536 is answered by 64 KB
import { createServer, type Socket } from 'node:net';

const answers = new Map<number, Buffer>();

const server = createServer({ noDelay: true }, serve);
server.listen(0, '127.0.0.1', () => {
  const address = server.address();
  if (typeof address === 'object' && address !== null) process.send?.(address.port);
});
process.on('disconnect', () => process.exit(0));

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
      const end = chunk.indexOf('\r\n\r\n', at);
      if (end < 0) {
        rest += chunk.toString('latin1', at);
        return;
      }
      const head = rest + chunk.toString('latin1', at, end);
      rest = '';
      at = end + 4;
      bodyLeft = Number(/\r\ncontent-length: *(\d+)/i.exec(head)?.[1] ?? 0);
      socket.write(answer(Number(/^\S+ \S*\/(\d+)/.exec(head)?.[1] ?? 0)));
    }
  });
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
