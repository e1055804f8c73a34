// Stands for every service of the examples: says who it is and what it saw, and fails or waits when it is told to.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createHttp2Server, type ServerHttp2Stream } from 'node:http2';

const { PORT: port = '8080', APP: app = '', POD: pod = '', GRPC: grpc = '' } = process.env;

/** How it answers from now on, as `PUT /behave?status=503&waitMs=100` tells it. */
let status = 200;
let waitMs = 0;
/** Calls so far, but for those of `/behave` and `/seen`. */
let seen = 0;
/** Of calls with `x-fail-first: id n`: how many more of the id fail. */
const failures = new Map<string, number>();

function answer(request: IncomingMessage, response: ServerResponse): void {
  const { method = '', url = '/', headers } = request;
  const { pathname, searchParams } = new URL(url, 'http://echo');
  if (pathname === '/behave') {
    status = Number(searchParams.get('status') ?? 200);
    waitMs = Number(searchParams.get('waitMs') ?? 0);
    response.end();
    return;
  }
  if (pathname === '/seen') {
    response.end(String(seen));
    return;
  }
  seen += 1;
  const ownMs = Number(headers['x-wait'] ?? waitMs);
  setTimeout(() => {
    response.statusCode = statusFor(request);
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify({ app, pod, method, url, headers }));
  }, ownMs);
}

function statusFor({ headers }: IncomingMessage): number {
  const [id = '', count = '0'] = String(headers['x-fail-first'] ?? '').split(' ');
  const left = failures.get(id) ?? Number(count);
  failures.set(id, left - 1);
  return id !== '' && left > 0 ? 503 : status;
}

/** grpc.health.v1: 1 is SERVING, 2 is NOT_SERVING; every other method answers the same. */
function answerGrpc(stream: ServerHttp2Stream, headers: Record<string, unknown>): void {
  stream.on('error', () => undefined);
  if (String(headers[':path']).startsWith('/behave')) {
    status = Number(new URL(String(headers[':path']), 'http://echo').searchParams.get('status'));
    stream.respond({ ':status': 200 });
    stream.end();
    return;
  }
  stream.respond(
    { ':status': 200, 'content-type': 'application/grpc', 'x-pod': pod },
    { waitForTrailers: true },
  );
  stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
  stream.end(Buffer.from([0, 0, 0, 0, 2, 8, status === 200 ? 1 : 2]));
}

const server = grpc === '' ? createServer(answer) : createHttp2Server().on('stream', answerGrpc);
server.listen(Number(port), '127.0.0.1');
process.on('SIGTERM', () => process.exit(0));
