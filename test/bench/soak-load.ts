// Churn for the soak, in a process of its own: connections that come and go, bodies of all sizes, calls broken off.
//
//   forked with ChurnOptions as JSON: sends its counts every second
import { readFileSync } from 'node:fs';
import {
  Agent,
  request as requestHttp,
  type IncomingMessage,
  type RequestOptions,
} from 'node:http';
import { connect as connectHttp2, type ClientHttp2Session } from 'node:http2';
import { request as requestHttps } from 'node:https';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect as connectTls, type ConnectionOptions } from 'node:tls';

export interface ChurnOptions {
  readonly outbound: number;
  readonly inbound: number;
  /** Whether the outbound proxy wants the absolute form. */
  readonly isAbsolute: boolean;
  /** PEM files. */
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

export interface Churn {
  answered: number;
  /** Each used for a few calls or one. */
  connections: number;
  aborted: number;
  denied: number;
  failures: number;
  /** Of the first failure. */
  reason: string;
}

interface Call {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  readonly bodyBytes: number;
}

const kb = 1024;
const sizes = [0, kb, kb, kb, 16 * kb, 64 * kb, 1024 * kb];
const bodies = [0, 0, 0, 0, kb, 64 * kb];
const steadyLoops = 16;
const churnLoops = 3;
const callsPerSession = 20;
/** Between two calls of one loop: together some hundred calls per second. */
const pauseMsMax = 50;
const body = Buffer.alloc(64 * kb, 'q');

if (import.meta.main) await run(JSON.parse(process.argv[2] ?? '{}') as ChurnOptions);

async function run(options: ChurnOptions): Promise<void> {
  const churn: Churn = {
    answered: 0,
    connections: 0,
    aborted: 0,
    denied: 0,
    failures: 0,
    reason: '',
  };
  setInterval(() => process.send?.(churn), 1000);
  process.on('disconnect', () => process.exit(0));
  const agent = new Agent({ keepAlive: true, maxSockets: steadyLoops });
  const tls: ConnectionOptions = {
    host: '127.0.0.1',
    port: options.inbound,
    ca: readFileSync(options.ca),
    cert: readFileSync(options.cert),
    key: readFileSync(options.key),
    servername: 'outbound_.8080_._.server.bench.svc.cluster.local',
    checkServerIdentity: () => undefined,
  };
  repeat(steadyLoops, churn, () => expect(200, churn, outbound(options, anyCall(), { agent })));
  repeat(churnLoops, churn, async () => {
    churn.connections += 1;
    await expect(200, churn, outbound(options, anyCall(), { agent: false }));
  });
  repeat(churnLoops, churn, async () => {
    churn.connections += 1;
    await expect(200, churn, inbound(tls, anyCall()));
  });
  repeat(1, churn, async () => {
    churn.connections += 1;
    const call = { method: 'GET', path: '/nowhere/1024', bodyBytes: 0 } as const;
    if (await expect(403, churn, inbound(tls, call))) churn.denied += 1;
  });
  repeat(churnLoops, churn, () => breakOff(options, churn, { agent: false }));
  if (await speaksHttp2(tls)) repeat(2, churn, () => useSession(tls, churn));
}

function repeat(loops: number, churn: Churn, act: () => Promise<unknown>): void {
  for (let i = 0; i < loops; i += 1) {
    void (async () => {
      for (;;) {
        try {
          await act();
        } catch (error) {
          churn.failures += 1;
          churn.reason ||= error instanceof Error ? error.message : String(error);
        }
        await sleep(Math.random() * pauseMsMax);
      }
    })();
  }
}

function anyCall(): Call {
  const bodyBytes = oneOf(bodies);
  const method = bodyBytes === 0 ? 'GET' : 'POST';
  return { method, path: `/api/v1/${oneOf(sizes)}`, bodyBytes };
}

function oneOf(values: readonly number[]): number {
  return values[Math.floor(Math.random() * values.length)] ?? 0;
}

function outbound(
  options: ChurnOptions,
  call: Call,
  more: RequestOptions,
): Promise<IncomingMessage> {
  return send(requestHttp({ ...outboundOptions(options, call), ...more }), call);
}

function outboundOptions({ outbound: port, isAbsolute }: ChurnOptions, call: Call): RequestOptions {
  const { method, path } = call;
  const headers = { host: 'server.bench:8080' };
  const target = isAbsolute ? `http://server.bench:8080${path}` : path;
  return { host: '127.0.0.1', port, method, path: target, headers: headersOf(call, headers) };
}

function inbound(tls: ConnectionOptions, call: Call): Promise<IncomingMessage> {
  const { method, path } = call;
  const options = {
    ...tls,
    ALPNProtocols: ['istio-http/1.1', 'istio', 'http/1.1'],
    agent: false as const,
  };
  return send(requestHttps({ ...options, method, path, headers: headersOf(call, {}) }), call);
}

/** The application behind reads bodies by their length alone. */
function headersOf({ bodyBytes }: Call, headers: Record<string, string>): Record<string, string> {
  return bodyBytes === 0 ? headers : { ...headers, 'content-length': String(bodyBytes) };
}

function send(request: ReturnType<typeof requestHttp>, call: Call): Promise<IncomingMessage> {
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  request.on('error', reject);
  request.on('response', (response) => {
    response.on('error', reject);
    response.once('end', () => resolve(response));
    response.resume();
  });
  request.end(body.subarray(0, call.bodyBytes));
  return promise;
}

async function expect(
  status: number,
  churn: Churn,
  response: Promise<IncomingMessage>,
): Promise<boolean> {
  const { statusCode } = await response;
  churn.answered += 1;
  if (statusCode === status) return true;
  churn.failures += 1;
  churn.reason ||= `status ${statusCode} instead of ${status}`;
  return false;
}

/** In the middle of the answer, or of the request's body. */
async function breakOff(options: ChurnOptions, churn: Churn, more: RequestOptions): Promise<void> {
  const isUpload = Math.random() < 0.5;
  const call: Call = isUpload
    ? { method: 'POST', path: '/api/v1/1024', bodyBytes: body.length }
    : { method: 'GET', path: `/api/v1/${1024 * kb}`, bodyBytes: 0 };
  const request = requestHttp({ ...outboundOptions(options, call), ...more });
  const closed = new Promise((resolve) => request.once('close', resolve));
  request.on('error', () => undefined);
  request.on('response', (response) => {
    response.on('error', () => undefined);
    response.once('data', () => request.destroy());
  });
  if (isUpload) request.write(body.subarray(0, body.length / 2), () => request.destroy());
  else request.end();
  await closed;
  churn.connections += 1;
  churn.aborted += 1;
}

async function speaksHttp2(tls: ConnectionOptions): Promise<boolean> {
  const socket = connectTls({ ...tls, ALPNProtocols: ['h2'] });
  return new Promise((resolve) => {
    socket.once('secureConnect', () => {
      resolve(socket.alpnProtocol === 'h2');
      socket.destroy();
    });
    socket.once('error', () => resolve(false));
  });
}

async function useSession(tls: ConnectionOptions, churn: Churn): Promise<void> {
  const session = connectHttp2('https://server.bench:8080', {
    createConnection: () => connectTls({ ...tls, ALPNProtocols: ['h2'] }),
  });
  session.setMaxListeners(0);
  churn.connections += 1;
  try {
    await Promise.all(
      Array.from({ length: callsPerSession }, (_, i) => callInSession(session, churn, i % 4 === 3)),
    );
  } finally {
    session.destroy();
  }
}

function callInSession(
  session: ClientHttp2Session,
  churn: Churn,
  isBrokenOff: boolean,
): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  session.once('error', reject);
  const stream = session.request({ ':method': 'GET', ':path': `/api/v1/${oneOf(sizes)}` });
  stream.on('error', reject);
  stream.on('response', (headers) => {
    if (headers[':status'] !== 200) reject(new Error(`status ${headers[':status']}`));
    if (isBrokenOff) stream.close(8);
  });
  stream.resume();
  stream.once('close', () => {
    churn[isBrokenOff ? 'aborted' : 'answered'] += 1;
    resolve();
  });
  return promise;
}
