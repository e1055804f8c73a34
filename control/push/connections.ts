// The HTTP/2 connections of the push server: finds the dead and the idle, closes all at the end.
import type { ServerHttp2Session, ServerHttp2Stream } from 'node:http2';

interface Connection {
  streams: number;
  /** HTTP/2 PING frames sent since the last answer. */
  unanswered: number;
  /** Date.now() when its last stream ended. */
  idleSinceMs: number;
}

/** A peer whose HTTP/2 stack left so many pings unanswered is gone. */
const unansweredMax = 3;

export class Connections {
  readonly #open = new Map<ServerHttp2Session, Connection>();
  readonly #idleTimeoutMs: number;
  readonly #timer: NodeJS.Timeout;

  /** @param idleTimeoutMs a connection without a stream holds one of few places for so long at most */
  constructor(options: { readonly idleTimeoutMs: number; readonly pingEveryMs: number }) {
    this.#idleTimeoutMs = options.idleTimeoutMs;
    const everyMs = Math.min(options.pingEveryMs, options.idleTimeoutMs);
    this.#timer = setInterval(() => this.#look(), everyMs);
    this.#timer.unref();
  }

  get count(): number {
    return this.#open.size;
  }

  add(session: ServerHttp2Session): void {
    this.#open.set(session, { streams: 0, unanswered: 0, idleSinceMs: Date.now() });
    session.on('close', () => this.#open.delete(session));
  }

  use(stream: ServerHttp2Stream): void {
    const session = stream.session as ServerHttp2Session | undefined;
    const connection = session && this.#open.get(session);
    if (connection === undefined) return;
    connection.streams += 1;
    stream.on('close', () => {
      connection.streams -= 1;
      connection.idleSinceMs = Date.now();
    });
  }

  /** Lets streams end, then cuts what is left. */
  close(graceMs: number): void {
    clearInterval(this.#timer);
    for (const session of this.#open.keys()) session.close();
    setTimeout(() => {
      for (const session of this.#open.keys()) session.destroy();
    }, graceMs).unref();
  }

  #look(): void {
    const now = Date.now();
    for (const [session, connection] of this.#open) {
      const idle = connection.streams === 0 && now - connection.idleSinceMs >= this.#idleTimeoutMs;
      if (idle || connection.unanswered >= unansweredMax || session.destroyed) {
        session.destroy();
        continue;
      }
      connection.unanswered += 1;
      session.ping((error) => {
        if (error === null) connection.unanswered = 0;
      });
    }
  }
}
