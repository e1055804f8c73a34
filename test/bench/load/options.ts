// What a load process is told, and what it tells.

export interface LoadOptions {
  readonly port: number;
  readonly speaks: 'http1' | 'http2' | 'grpc' | 'tcp' | 'handshakes';
  readonly connections: number;
  /** Calls at a time on one connection; HTTP/1.1 and TCP: 1. */
  readonly streams: number;
  /** Calls per second of all connections together; null: each sends its next one when the last is answered. */
  readonly perSecond: number | null;
  /** Measured only after this. */
  readonly warmSeconds: number;
  readonly seconds: number;
  readonly method: 'GET' | 'POST';
  readonly requestBytes: number;
  readonly responseBytes: number;
  /** Absolute-form goes to a forward proxy. */
  readonly target: string;
  /** PEM files for mutual TLS; null: plaintext. */
  readonly tls: { readonly ca: string; readonly cert: string; readonly key: string } | null;
  /** A forward proxy is asked by CONNECT for a tunnel to this authority; null: none. */
  readonly tunnel: string | null;
  /** Whether new connections resume the session of the last one. */
  readonly resume: boolean;
}

export interface LoadResult {
  /** Answers, new connections, or bytes of both ways. */
  readonly count: number;
  /** Wrong answers and broken connections. */
  readonly failures: number;
  /** The first failure, warm-up included; '': none. */
  readonly reason: string;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly seconds: number;
}
