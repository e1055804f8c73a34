// One active check of one member, over its own way of connecting.
import { request } from 'node:http';
import type { ClientHttp2Session } from 'node:http2';
import type { Socket } from 'node:net';

import type { ActiveHealthCheck } from '#api/traffic/destination.ts';

import { healthRequest, isServing } from './message.ts';

/** Ways to a member, each a connection of its own. */
export interface Probed {
  readonly address: string;
  readonly openEvent: 'connect' | 'secureConnect';
  openTcp(): Socket;
  openHttp(): Socket;
  openHttp2(): Socket;
}

/** Resolves to '' where the member is well, else to why not; within `timeoutMs`. */
export async function probe(member: Probed, check: ActiveHealthCheck): Promise<string> {
  const socket = openFor(member, check);
  // A check is no reason for a process to go on.
  socket.unref();
  const { promise, resolve } = Promise.withResolvers<string>();
  const timer = setTimeout(() => resolve('timeout'), check.timeoutMs);
  timer.unref();
  socket.on('error', (error) => resolve(error.message));
  socket.on('close', () => resolve('closed before an answer'));
  try {
    switch (check.kind) {
      case 'tcp':
        socket.once(member.openEvent, () => resolve(''));
        break;
      case 'http':
        askHttp(socket, member, check, resolve);
        break;
      case 'grpc':
        await askGrpc(socket, member, check, resolve);
        break;
    }
    return await promise;
  } finally {
    clearTimeout(timer);
    socket.destroy();
  }
}

function openFor(member: Probed, check: ActiveHealthCheck): Socket {
  if (check.kind === 'tcp') return member.openTcp();
  return check.kind === 'http' ? member.openHttp() : member.openHttp2();
}

function askHttp(
  socket: Socket,
  member: Probed,
  { path = '/', host, statuses }: ActiveHealthCheck,
  done: (fault: string) => void,
): void {
  const wanted = statuses ?? [[200, 299]];
  const asked = request({
    createConnection: () => socket,
    path,
    headers: { host: host ?? member.address, 'user-agent': 'selvage-health-check' },
  });
  asked.on('error', (error) => done(error.message));
  asked.on('response', ({ statusCode = 0 }) => {
    const well = wanted.some(([from, to]) => statusCode >= from && statusCode <= to);
    done(well ? '' : `status ${statusCode}`);
  });
  asked.end();
}

/** The standard `grpc.health.v1.Health/Check`. */
async function askGrpc(
  socket: Socket,
  member: Probed,
  { host, grpcService = '' }: ActiveHealthCheck,
  done: (fault: string) => void,
): Promise<void> {
  const { connect } = await import('node:http2');
  const authority = host ?? member.address;
  const session: ClientHttp2Session = connect(`http://${authority}`, {
    createConnection: () => socket,
  });
  session.on('error', (error: Error) => done(error.message));
  const asked = session.request({
    ':method': 'POST',
    ':path': '/grpc.health.v1.Health/Check',
    'content-type': 'application/grpc',
    te: 'trailers',
  });
  const chunks: Buffer[] = [];
  let fault = '';
  asked.on('response', (headers) => {
    if (headers[':status'] !== 200) fault = `status ${headers[':status']}`;
    else if (Number(headers['grpc-status'] ?? 0) !== 0) fault = grpcFault(headers['grpc-status']);
  });
  asked.on('trailers', (trailers) => {
    if (Number(trailers['grpc-status'] ?? 0) !== 0) fault = grpcFault(trailers['grpc-status']);
  });
  asked.on('data', (chunk: Buffer) => chunks.push(chunk));
  asked.on('error', (error: Error) => done(error.message));
  asked.on('end', () => done(fault === '' ? servingFault(Buffer.concat(chunks)) : fault));
  asked.end(healthRequest(grpcService));
}

function servingFault(body: Buffer): string {
  if (isServing(body)) return '';
  return body.length >= 5 ? 'not serving' : 'no answer';
}

function grpcFault(status: unknown): string {
  return `grpc-status ${String(status)}`;
}
