// The cheapest receiver of snapshots that there can be: frames off a TLS socket, a look for the end of a line, an answer.
import { connect, createSecureContext, type SecureContext } from 'node:tls';

import type { Svid } from '#runtime/tls/svid.ts';

import { headerBlocks } from './load/hpack.ts';
import {
  flags,
  frame,
  FrameReader,
  frames,
  settings,
  settingsPayload,
  uint32,
} from './load/http2-frames.ts';

const preface = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
const stream = 1;
/** Half of the window that both ends begin with, RFC 9113 section 6.9.2. */
const consumedMax = 32_768;
/** The number of a snapshot or of a delta's end stands in front of all that can be long. */
const headBytes = 200;
const reopenMs = 500;
const lineFeed = 0x0a;
const contexts = new Map<Svid, SecureContext>();

/** @param hello without its line end. @param received called for each snapshot or delta, before it is acknowledged */
export function openReceiver(port: number, svid: Svid, hello: string, received: () => void): void {
  const socket = connect({
    host: '127.0.0.1',
    port,
    ALPNProtocols: ['h2'],
    secureContext: contextOf(svid),
    checkServerIdentity: () => undefined,
  });
  const sendLine = (line: string): void => {
    socket.write(frame(frames.data, 0, stream, Buffer.from(`${line}\n`)));
  };
  const lines = new LineHeads((head) => {
    const version = /"(?:version|to)":(\d+)/.exec(head)?.[1];
    if (version === undefined) return;
    received();
    sendLine(`{"type":"ack","version":${version}}`);
  });
  let consumed = 0;
  const reader = new FrameReader({
    data: (_stream, bytes, _end, part) => {
      lines.push(part);
      consumed += bytes;
      if (consumed < consumedMax) return;
      for (const id of [0, stream])
        socket.write(frame(frames.windowUpdate, 0, id, uint32(consumed)));
      consumed = 0;
    },
    control: (type, flag, _stream, payload) => {
      if ((flag & flags.ack) !== 0) return;
      if (type === frames.settings) socket.write(frame(type, flags.ack, 0, Buffer.alloc(0)));
      if (type === frames.ping) socket.write(frame(type, flags.ack, 0, payload));
    },
  });
  socket.on('data', (chunk: Buffer) => reader.push(chunk));
  socket.on('error', () => undefined);
  // When thousands come at once, some handshakes are too late for control.
  socket.on('close', () => setTimeout(() => openReceiver(port, svid, hello, received), reopenMs));
  socket.once('secureConnect', () => {
    const ours = settingsPayload([[settings.enablePush, 0]]);
    const { plain } = headerBlocks([
      [':method', 'POST'],
      [':scheme', 'https'],
      [':path', '/v1/snapshots'],
      [':authority', `127.0.0.1:${port}`],
    ]);
    socket.write(
      Buffer.concat([
        preface,
        frame(frames.settings, 0, 0, ours),
        frame(frames.headers, flags.endHeaders, stream, plain),
      ]),
    );
    sendLine(hello);
  });
}

/** Tells the beginning of each line when its end has come; the rest is not kept. */
class LineHeads {
  readonly #told: (head: string) => void;
  #head = '';

  constructor(told: (head: string) => void) {
    this.#told = told;
  }

  push(part: Buffer): void {
    let start = 0;
    for (;;) {
      const end = part.indexOf(lineFeed, start);
      const stop = end === -1 ? part.length : end;
      if (this.#head.length < headBytes) {
        this.#head += part.toString('latin1', start, Math.min(stop, start + headBytes));
      }
      if (end === -1) return;
      this.#told(this.#head);
      this.#head = '';
      start = end + 1;
    }
  }
}

/** Sidecars of one namespace share a certificate here. */
function contextOf(svid: Svid): SecureContext {
  let context = contexts.get(svid);
  if (context === undefined) {
    context = createSecureContext({
      key: svid.keyPem,
      cert: svid.chainPem,
      ca: svid.trustBundlePem,
    });
    contexts.set(svid, context);
  }
  return context;
}
