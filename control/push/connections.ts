// The HTTP/2 connections of the push server: finds the dead and the idle, closes all at the end.
import type { ServerHttp2Session, ServerHttp2Stream } from 'node:http2';

export interface ConnectionLimits {
  /** A connection without a stream holds one of few places for so long at most. */
  readonly idleTimeoutMs: number;
  readonly pingEveryMs: number;
  readonly perIdentityMax: number;
}

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
  readonly #byIdentity = new Map<string, number>();
  readonly #options: ConnectionLimits;
  readonly #timer: NodeJS.Timeout;

  constructor(options: ConnectionLimits) {
    this.#options = options;
    const everyMs = Math.min(options.pingEveryMs, options.idleTimeoutMs);
    this.#timer = setInterval(() => this.#look(), everyMs);
    this.#timer.unref();
  }

  get count(): number {
    return this.#open.size;
  }

  /** False: its identity has too many already, and it was closed. */
  add(session: ServerHttp2Session, identity: string): boolean {
    const others = this.#byIdentity.get(identity) ?? 0;
    if (others >= this.#options.perIdentityMax) {
      session.destroy();
      return false;
    }
    this.#byIdentity.set(identity, others + 1);
    this.#open.set(session, { streams: 0, unanswered: 0, idleSinceMs: Date.now() });
    session.on('close', () => {
      this.#open.delete(session);
      const left = (this.#byIdentity.get(identity) ?? 1) - 1;
      if (left === 0) this.#byIdentity.delete(identity);
      else this.#byIdentity.set(identity, left);
    });
    return true;
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
      const idle =
        connection.streams === 0 && now - connection.idleSinceMs >= this.#options.idleTimeoutMs;
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
