// Asks the application what the kubelet would have asked: HTTP, a TCP connection, or gRPC's health service.
import { connect } from 'node:net';

import type { AdminReply } from '#runtime/admin.ts';
import { formatAddress } from '#runtime/plain-address.ts';

import { healthRequest, isServing } from '../upstream/health/message.ts';
import type { AppProbe, GrpcCheck, HttpCheck, TcpCheck } from './settings.ts';

/** Of the application's answer; the kubelet shows it with the event of a failed probe. */
export const answerBytesMax = 10 * 1024;

/** Where the application is called, and from where, so that capture lets the call pass. */
export interface Place {
  readonly host: string;
  /** '': the system's choice. */
  readonly from: string;
}

/** @param podIp '': there is no capture and the application is on this machine */
export function placeOf(podIp: string, captured: boolean): Place {
  const host = podIp === '' ? '127.0.0.1' : podIp;
  if (!captured || host.startsWith('127.')) return { host, from: '' };
  return { host, from: host.includes(':') ? '::6' : '127.0.0.6' };
}

/** The application's own status for HTTP; 200 or 500 for the others. Never rejects. */
export async function askApplication(probe: AppProbe, pod: Place): Promise<AdminReply> {
  const { check, timeoutMs } = probe;
  const place = check.host === '' ? pod : { host: check.host, from: '' };
  const signal = AbortSignal.timeout(timeoutMs);
  try {
    if (check.kind === 'http') return await askHttp(check, place, signal);
    await (check.kind === 'tcp' ? askTcp(check, place, signal) : askGrpc(check, place, signal));
    return { body: 'ok\n' };
  } catch (error) {
    const why = signal.aborted
      ? `it did not answer within ${timeoutMs} ms`
      : error instanceof Error
        ? error.message
        : String(error);
    const address = formatAddress(place.host, check.port);
    return { status: 500, body: `probe of ${address} failed: ${why}\n` };
  }
}

function askHttp(check: HttpCheck, place: Place, signal: AbortSignal): Promise<AdminReply> {
  const { promise, resolve, reject } = Promise.withResolvers<AdminReply>();
  // By getBuiltinModule: see runtime/admin.ts.
  const { request } = check.https
    ? process.getBuiltinModule('node:https')
    : process.getBuiltinModule('node:http');
  const call = request({
    host: place.host,
    port: check.port,
    path: check.target,
    headers: { 'user-agent': 'kube-probe/selvage', accept: '*/*', ...check.headers },
    ...(place.from !== '' && { localAddress: place.from }),
    ...(check.https && { rejectUnauthorized: false }),
    agent: false,
    signal,
  });
  call.on('error', reject);
  call.on('response', (response) => {
    const parts: Buffer[] = [];
    let bytes = 0;
    const done = (): void => {
      const body = Buffer.concat(parts).subarray(0, answerBytesMax).toString('utf8');
      resolve({ status: response.statusCode ?? 500, body });
      call.destroy();
    };
    response.on('data', (part: Buffer) => {
      parts.push(part);
      bytes += part.length;
      if (bytes >= answerBytesMax) done();
    });
    response.on('end', done);
    response.on('error', reject);
  });
  call.end();
  return promise;
}

function askTcp({ port }: TcpCheck, { host, from }: Place, signal: AbortSignal): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const socket = connect({ host, port, ...(from !== '' && { localAddress: from }), signal });
  socket.on('error', reject);
  socket.once('connect', () => {
    resolve();
    socket.destroy();
  });
  return promise;
}

/** grpc.health.v1.Health/Check; anything but SERVING rejects. */
function askGrpc(check: GrpcCheck, { host, from }: Place, signal: AbortSignal): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const { connect: connectHttp2 } = process.getBuiltinModule('node:http2');
  const authority = `http://${formatAddress(host, check.port)}`;
  const { port } = check;
  const session = connectHttp2(authority, {
    createConnection: () =>
      connect({ host, port, ...(from !== '' && { localAddress: from }), signal }),
  });
  session.on('error', reject);
  const stream = session.request({
    ':method': 'POST',
    ':path': '/grpc.health.v1.Health/Check',
    'content-type': 'application/grpc',
    'user-agent': 'kube-probe/selvage',
    te: 'trailers',
  });
  let status = '';
  const read = (headers: Readonly<Record<string, unknown>>): void => {
    const told = headers['grpc-status'];
    if (typeof told === 'string') status = told;
  };
  stream.on('response', read);
  stream.on('trailers', read);
  const parts: Buffer[] = [];
  let bytes = 0;
  stream.on('data', (part: Buffer) => {
    bytes += part.length;
    if (bytes > answerBytesMax) stream.destroy(new Error('the answer is too large'));
    else parts.push(part);
  });
  stream.on('error', reject);
  stream.on('close', () => {
    const serving = status === '0' && isServing(Buffer.concat(parts));
    if (serving) resolve();
    else
      reject(new Error(status === '0' ? 'it is not SERVING' : `grpc-status ${status || 'none'}`));
    session.destroy();
  });
  signal.addEventListener('abort', () => session.destroy(new Error('too late')));
  stream.end(healthRequest(check.service));
  return promise;
}
