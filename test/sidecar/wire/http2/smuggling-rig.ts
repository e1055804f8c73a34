// Applications that write down what reached them, and one attack with its aftermath looked at.
import { once } from 'node:events';
import { createServer as createHttp1 } from 'node:http';
import type { RequestListener } from 'node:http';
import { createServer as createTls } from 'node:https';
import { createServer as createHttp2 } from 'node:http2';
import type { ServerHttp2Stream } from 'node:http2';
import type { AddressInfo, Socket } from 'node:net';

import type { Rig } from '#test/sidecar/rig.ts';
import type { Issued } from '#test/tls/fixtures.ts';

import { block, flags, frame, frames, RawClient } from './raw-client.ts';
import type { Outcome } from './raw-client.ts';
import { request } from './smuggling-corpus.ts';
import type { Attack } from './smuggling-corpus.ts';

export interface Seen {
  readonly method: string;
  readonly path: string;
  readonly body: string;
  readonly headers: Readonly<Record<string, unknown>>;
}

export interface Application {
  readonly port: number;
  /** Whole requests, in the order in which they ended. */
  readonly seen: Seen[];
  /** All bytes that came, latin1; '' for HTTP/2. */
  raw(): string;
}

/** On Node's HTTP/1.1 parser; answers with method and path. @param issued takes TLS with it */
export async function http1Application(rig: Rig, issued?: Issued): Promise<Application> {
  const seen: Seen[] = [];
  let raw = '';
  const serve: RequestListener = (incoming, response) => {
    let body = '';
    incoming.on('error', () => undefined);
    incoming.on('data', (bytes: Buffer) => (body += bytes.toString('latin1')));
    incoming.on('end', () => {
      const { method = '', url = '', headers } = incoming;
      seen.push({ method, path: url, body, headers });
      response.end(`${method} ${url}`);
    });
  };
  const server =
    issued === undefined
      ? createHttp1(serve)
      : createTls({ key: issued.keyPem, cert: issued.certPem }, serve);
  server.on(issued === undefined ? 'connection' : 'secureConnection', (socket: Socket) => {
    socket.on('data', (bytes: Buffer) => (raw += bytes.toString('latin1')));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  rig.onClose(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  return { port, seen, raw: () => raw };
}

/** The same on Node's HTTP/2. */
export async function http2Application(rig: Rig): Promise<Application> {
  const seen: Seen[] = [];
  const server = createHttp2();
  const sessions = new Set<{ destroy(): void }>();
  server.on('session', (session) => sessions.add(session));
  server.on('stream', (stream: ServerHttp2Stream, headers) => {
    let body = '';
    stream.on('error', () => undefined);
    stream.on('data', (bytes: Buffer) => (body += bytes.toString('latin1')));
    stream.on('end', () => {
      if (stream.destroyed || stream.rstCode !== 0) return;
      const { ':method': method = '', ':path': path = '' } = headers;
      seen.push({ method, path, body, headers });
      stream.respond({ ':status': 200 });
      stream.end(`${method} ${path}`);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  rig.onClose(() => {
    for (const session of sessions) session.destroy();
    server.close();
  });
  return { port: (server.address() as AddressInfo).port, seen, raw: () => '' };
}

/** A way to an application that is attacked. */
export interface Setup {
  readonly name: string;
  /** Where HTTP/2 in the clear is taken. */
  readonly port: number;
  readonly application: Application;
}

export interface Aftermath {
  readonly outcome: Outcome;
  /** What reached the application of the attack itself. */
  readonly seen: readonly Seen[];
  /** Ordinary requests after it, on the same connection where there still is one, and on another. */
  readonly after: readonly Outcome[];
  /** What was asked in them. */
  readonly asked: readonly string[];
  readonly raw: string;
}

let count = 0;

/** @param slowly in many small pieces, so that the head has gone on before the rest comes */
export async function launch(
  attack: Attack,
  { port, application }: Setup,
  slowly = false,
): Promise<Aftermath> {
  application.seen.length = 0;
  const rawBefore = application.raw().length;
  const client = await RawClient.connect(port);
  const outcome = await client.send((id) => attack.frames(id), slowly);
  const after: Outcome[] = [];
  const asked: string[] = [];
  const other = await RawClient.connect(port);
  for (const one of client.closed ? [other, other] : [client, other, client]) {
    const path = `/canary-${++count}`;
    asked.push(`GET ${path}`);
    after.push(await one.send((id) => get(id, path)));
  }
  client.close();
  other.close();
  const seen = application.seen.filter(({ path }) => !path.startsWith('/canary'));
  return { outcome, seen, after, asked, raw: application.raw().slice(rawBefore) };
}

function get(id: number, path: string): Buffer {
  const fields = block(request({ ':method': 'GET', ':path': path }));
  return frame(frames.headers, flags.endHeaders | flags.endStream, id, fields);
}

/** What is wrong with how an attack ended; nothing when front and back agree. */
export function faultsOf(attack: Attack, setup: Setup, aftermath: Aftermath): string[] {
  const { verdict, body } = attack;
  const { outcome, seen, after, asked, raw } = aftermath;
  const answered = outcome.status >= 200 && outcome.status < 300;
  const faults: string[] = [];
  if ((verdict === 'refused' || verdict === 'late') && answered) faults.push('it was answered');
  if (verdict === 'passes' && !answered) faults.push('it was refused');
  // As many requests behind as in front, with the same bodies.
  if (seen.length > 1) faults.push('it became several requests');
  if (answered && seen.length === 0) faults.push('it was answered without the application');
  if (verdict === 'refused' && seen.length > 0) faults.push('it arrived');
  if (seen.some((one) => one.body !== body)) faults.push('another body arrived');
  const injected = seen.flatMap((one) => [one.path, ...Object.keys(one.headers)]);
  if (injected.some((text) => text.includes('evil'))) faults.push('what it injected arrived');
  if (/[\r\n\0]evil/.test(raw)) faults.push('a line of it was written');
  // Whoever comes next gets its own answer.
  if (after.some((one, i) => one.body !== asked[i])) faults.push('the next answer is not its own');
  if (faults.length === 0) return [];
  return [setup.name, ...faults, JSON.stringify({ outcome, seen, after, raw })];
}
