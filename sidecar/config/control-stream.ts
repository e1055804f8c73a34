// One connection to control: HTTP/2 over mutual TLS, lines both ways, and exactly one report of its end.
import { connect, constants, type ClientHttp2Stream } from 'node:http2';
import type { PeerCertificate } from 'node:tls';

import { whenConnectIsLate } from '#runtime/connect-deadline.ts';
import { LineReader } from '#runtime/lines.ts';
import { uriNames } from '#runtime/tls/peer-names.ts';

export interface ControlCredentials {
  /** PEM. */
  readonly key: string;
  /** PEM, leaf first. */
  readonly cert: string;
  /** PEM of every root to trust. */
  readonly ca: string;
}

export interface ControlStreamOptions {
  readonly url: URL;
  readonly controlIdentity: string;
  readonly credentials: ControlCredentials;
  readonly limits: {
    readonly connectTimeoutMs: number;
    readonly answerTimeoutMs: number;
    readonly silenceMs: number;
    readonly snapshotBytesMax: number;
  };
  /** The first line, with its line end. */
  readonly hello: string;
  /** Control has let us in. */
  readonly onOpen: () => void;
  /** May throw: the connection then ends with the error's message as the reason. */
  readonly onLine: (line: string) => void;
  /** Called once, never before `openControlStream` has returned. @param reason '': control ended it in order */
  readonly onEnd: (reason: string) => void;
}

export interface ControlStream {
  send(line: string): void;
  /** Ends the connection; `onEnd` is called with the reason. */
  close(reason: string): void;
}

/** A refusal's body is read up to here, for the log. */
const refusalBytesMax = 4096;

/** Opens the connection. Throws only on credentials that cannot be read. */
export function openControlStream(options: ControlStreamOptions): ControlStream {
  const { url, limits, credentials, controlIdentity } = options;
  const session = connect(url.origin, {
    ...credentials,
    minVersion: 'TLSv1.2',
    settings: { enablePush: false },
    // The identity counts, not the name that was dialled.
    checkServerIdentity: (_host, peer) => checkControl(peer, controlIdentity),
  });
  const stream = session.request(
    {
      [constants.HTTP2_HEADER_METHOD]: 'POST',
      [constants.HTTP2_HEADER_PATH]: '/v1/snapshots',
      [constants.HTTP2_HEADER_CONTENT_TYPE]: 'application/x-ndjson',
    },
    { endStream: false },
  );
  let ended = false;
  let admitted = false;
  // TLS 1.3: a refused certificate may show as nothing but a closed connection.
  const closed = (): void => end(admitted ? '' : 'closed before an answer came');
  const end = (reason: string): void => {
    if (ended) return;
    ended = true;
    clearTimeout(timer);
    session.destroy();
    setImmediate(() => options.onEnd(reason));
  };
  whenConnectIsLate(session, limits.connectTimeoutMs, end);
  // Every byte restarts it: first as the limit for the answer, then as the limit for silence.
  let timer = setTimeout(
    () => end(`no answer within ${limits.answerTimeoutMs} ms`),
    limits.answerTimeoutMs,
  );
  session.on('error', (error) => end(reasonOf(error)));
  session.on('close', closed);
  session.on('goaway', (code) => (code === 0 ? closed() : end(`control went away, code ${code}`)));
  stream.on('error', (error) => end(reasonOf(error)));
  stream.on('close', closed);
  stream.on('response', (headers) => {
    const status = headers[':status'];
    if (status !== 200) {
      readRefusal(stream, (text) => end(`control answered ${status ?? 0}: ${text}`));
      return;
    }
    admitted = true;
    clearTimeout(timer);
    timer = setTimeout(() => end(`not a byte for ${limits.silenceMs} ms`), limits.silenceMs);
    options.onOpen();
    readLines(stream, limits.snapshotBytesMax, {
      byte: () => timer.refresh(),
      line: (line) => ended || options.onLine(line),
      end,
    });
  });
  stream.write(options.hello);
  return { send: (line) => void (ended || stream.write(line)), close: end };
}

function readLines(
  stream: ClientHttp2Stream,
  bytesMax: number,
  on: { byte: () => void; line: (line: string) => void; end: (reason: string) => void },
): void {
  const reader = new LineReader(bytesMax);
  stream.on('data', (chunk: Buffer) => {
    on.byte();
    try {
      for (const line of reader.push(chunk)) on.line(line);
    } catch (error) {
      on.end(`control sent what cannot be understood: ${reasonOf(error)}`);
    }
  });
  stream.on('end', () => on.end(''));
}

function readRefusal(stream: ClientHttp2Stream, done: (text: string) => void): void {
  let text = '';
  stream.on('data', (chunk: Buffer) => {
    if (text.length < refusalBytesMax) text += chunk.toString('latin1');
  });
  stream.on('end', () => done(text.slice(0, refusalBytesMax)));
}

function checkControl(peer: PeerCertificate, identity: string): Error | undefined {
  const uris = uriNames(peer.subjectaltname);
  if (uris.length === 1 && uris[0] === identity) return undefined;
  return new Error(
    `control must be ${identity}, its certificate is ${uris.join(', ') || 'no SVID'}`,
  );
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
