// A tunnel that was asked for by POST: bytes are chunks of the request's body one way, the body of the answer the other.
import type { Socket } from 'node:net';
import { Duplex } from 'node:stream';

import { BodyCursor } from '../wire/http1/body.ts';
import { lastChunk } from '../wire/http1/chunks.ts';
import { http1PoolLimits } from '../wire/http1/limits.ts';
import { reset } from '../wire/reset.ts';
import type { ByteStream } from '../wire/tcp.ts';

/** How the answer's body ends. */
export interface AnswerFraming {
  readonly chunked: boolean;
  /** -1: not told; then it ends with the connection, where it is not chunked. */
  readonly length: number;
}

export class PostedBytes extends Duplex implements ByteStream {
  readonly #socket: Socket;
  readonly #body = new BodyCursor(http1PoolLimits);

  /** @param socket the head of the answer was read from it, and nothing else; the request has no body yet */
  constructor(socket: Socket, { chunked, length }: AnswerFraming) {
    super();
    this.#socket = socket;
    this.#body.begin(chunked, length);
    if (this.#body.done) this.push(null);
    socket.on('data', (bytes: Buffer) => this.#take(bytes));
    socket.on('end', () => this.#ended());
    socket.on('error', (error) => this.destroy(error));
    socket.on('close', () => {
      this.#ended();
      // Nobody is there any more for the rest of the request.
      if (!this.writableFinished) this.destroy();
    });
    socket.pause();
    if (socket.readableEnded || socket.destroyed) this.#ended();
  }

  setTimeout(timeoutMs: number, expire?: () => void): void {
    this.#socket.setTimeout(timeoutMs, expire);
  }

  destroySoon(): void {
    if (this.writable) this.end();
    if (this.writableFinished) this.destroy();
    else this.once('finish', () => this.destroy());
  }

  resetAndDestroy(): void {
    reset(this.#socket);
    this.destroy();
  }

  override _read(): void {
    this.#socket.resume();
  }

  override _write(bytes: Buffer, _encoding: string, done: (error?: Error | null) => void): void {
    // A chunk of no bytes would be the last.
    if (bytes.length === 0) return done();
    const socket = this.#socket;
    socket.cork();
    socket.write(`${bytes.length.toString(16)}\r\n`);
    socket.write(bytes);
    socket.write('\r\n', done);
    socket.uncork();
  }

  /** The connection stays open for the rest of the answer. */
  override _final(done: (error?: Error | null) => void): void {
    this.#socket.write(lastChunk, done);
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    if (error === null && this.writableFinished) this.#socket.destroySoon();
    else this.#socket.destroy();
    done(error);
  }

  #take(bytes: Buffer): void {
    // What comes behind the body was asked for by nobody.
    if (this.#body.done) return;
    let more = true;
    const pass = (from: number, to: number): void => {
      if (to > from) more = this.push(bytes.subarray(from, to)) && more;
    };
    const chunked = this.#body.framing === 'chunked';
    const onData = (_: Buffer, from: number, to: number): void => pass(from, to);
    const end = this.#body.take(bytes, 0, bytes.length, onData);
    if (end < 0) {
      this.destroy(new Error('the proxy sent a malformed chunk'));
      return;
    }
    if (!chunked) pass(0, end);
    if (this.#body.done) this.push(null);
    else if (!more) this.#socket.pause();
  }

  #ended(): void {
    if (this.#body.done || this.destroyed) return;
    if (this.#body.framing === 'until-close' && this.#socket.readableEnded) {
      this.#body.done = true;
      this.push(null);
    } else this.destroy(new Error('the proxy cut off its answer'));
  }
}
