// The service of orders.proto, over gRPC: Create answers with what it gets, Get with an order for every id but "none".
import { createServer } from 'node:http2';

const typed = { ':status': 200, 'content-type': 'application/grpc' };

const server = createServer();
server.on('stream', (stream, headers) => {
  const pieces: Buffer[] = [];
  stream.on('error', () => undefined);
  stream.on('data', (piece: Buffer) => pieces.push(piece));
  stream.on('end', () => {
    const asked = Buffer.concat(pieces).subarray(5);
    if (headers[':path'] === '/orders.v1.Orders/Get') {
      // The one field of GetOrder is the id: its key, its length, its text.
      const id = asked.subarray(2);
      if (id.toString() === 'none') {
        const status = { 'grpc-status': '5', 'grpc-message': 'no such order' };
        stream.respond({ ...typed, ...status }, { endStream: true });
        return;
      }
      // total_cents: 1250; items: one of sku "tea" and count 2.
      const rest = [0x10, 0xe2, 0x09, 0x1a, 7, 0x0a, 3, ...Buffer.from('tea'), 0x10, 2];
      answer(Buffer.from([0x0a, id.length, ...id, ...rest]));
    } else if (headers[':path'] === '/orders.v1.Orders/Create') answer(asked);
    else stream.respond({ ...typed, 'grpc-status': '12' }, { endStream: true });
  });

  function answer(message: Buffer): void {
    const frame = Buffer.alloc(5 + message.length);
    frame.writeUInt32BE(message.length, 1);
    message.copy(frame, 5);
    stream.respond(typed, { waitForTrailers: true });
    stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
    stream.end(frame);
  }
});
const { PORT: port } = process.env;
server.listen(Number(port ?? 8080), port === undefined ? undefined : '127.0.0.1');
process.on('SIGTERM', () => server.close(() => process.exit(0)));
