// HTTPS to the API server: connections, mutual TLS and limits of time; the one file here that knows undici.
import { Pool } from 'undici';

import type { ClusterAccess } from './access.ts';

export interface TransportRequest {
  readonly method: string;
  /** With its query. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
  /** Ends the request or what is left of the reply. */
  readonly signal: AbortSignal;
  /** A watch holds its connection for minutes, so it takes none of the calls' few. */
  readonly lasting: boolean;
}

export interface TransportReply {
  readonly status: number;
  readonly retryAfter: string | undefined;
  /** Leaving the loop early gives the connection up. */
  readonly body: AsyncIterable<Buffer>;
}

/** At once, for calls that end; the API server counts requests of one client too (priority and fairness). */
const callConnectionsMax = 16;

/**
 * HTTP/1.1, a connection for each watch: a lost segment holds up one collection, and the system's keep-alive probes
 * (libuv: ten, a second apart) find a server whose machine went away within half a minute.
 */
const connectionOptions = {
  allowH2: false,
  pipelining: 1,
  keepAliveTimeout: 30_000,
  /** Limits of time are the caller's signal. */
  headersTimeout: 0,
  bodyTimeout: 0,
} as const;

export class Transport {
  readonly #calls: Pool;
  readonly #watches: Pool;
  readonly #prefix: string;

  constructor(access: ClusterAccess, connectTimeoutMs: number) {
    const url = URL.parse(access.server);
    if (url?.protocol !== 'https:') {
      throw new Error(`"${access.server}" is no https URL of a Kubernetes API server`);
    }
    // With no roots of its own, TLS would trust every public one.
    if (!access.caPem.includes('-----BEGIN CERTIFICATE-----')) {
      throw new Error(`there is no certificate of a CA to trust for ${access.server}`);
    }
    const options = {
      ...connectionOptions,
      connect: {
        ca: access.caPem,
        cert: access.certPem,
        key: access.keyPem,
        timeout: connectTimeoutMs,
        keepAlive: true,
        keepAliveInitialDelay: 15_000,
      },
    };
    this.#calls = new Pool(url.origin, { ...options, connections: callConnectionsMax });
    this.#watches = new Pool(url.origin, { ...options, connections: null });
    this.#prefix = url.pathname.replace(/\/$/, '');
  }

  async send(request: TransportRequest): Promise<TransportReply> {
    const { method, path, headers, body, signal, lasting } = request;
    const pool = lasting ? this.#watches : this.#calls;
    const reply = await pool.request({
      method,
      path: `${this.#prefix}${path}`,
      headers,
      body,
      signal,
    });
    const retryAfter = reply.headers['retry-after'];
    return {
      status: reply.statusCode,
      retryAfter: typeof retryAfter === 'string' ? retryAfter : undefined,
      body: reply.body,
    };
  }

  /** Cuts what is under way. */
  async close(): Promise<void> {
    await Promise.all([this.#calls.destroy(), this.#watches.destroy()]);
  }
}
