// Calls through a workload's sidecar that are no plain request: bytes, and gRPC.
import { connect as connectHttp2 } from 'node:http2';
import { connect } from 'node:net';

/** Says `text` to a port that carries bytes; what came back when it is as much, or at the end. */
export function sayTo(port: number, text: string): Promise<string> {
  return new Promise((resolve) => {
    let heard = '';
    const socket = connect({ host: '127.0.0.1', port }, () => socket.write(text));
    const end = (): void => {
      socket.destroy();
      resolve(heard);
    };
    socket.setTimeout(10_000, end);
    socket.on('error', end);
    socket.on('close', end);
    socket.on('data', (bytes: Buffer) => {
      heard += String(bytes);
      if (heard.length >= text.length) end();
    });
  });
}

/** One call of gRPC with one message; resolves with its HTTP status. */
export async function callGrpc(port: number, authority: string): Promise<number> {
  const session = connectHttp2(`http://127.0.0.1:${port}`);
  try {
    return await new Promise<number>((resolve, reject) => {
      session.on('error', reject);
      const stream = session.request({
        ':method': 'POST',
        ':authority': authority,
        ':path': '/till.Till/Pay',
        'content-type': 'application/grpc',
        te: 'trailers',
      });
      let status = 0;
      stream.on('response', (head) => (status = Number(head[':status'])));
      stream.on('error', reject);
      stream.on('close', () => resolve(status));
      stream.resume();
      stream.end(Buffer.from([0, 0, 0, 0, 3, 8, 150, 1]));
    });
  } finally {
    session.close();
  }
}
