// What one HTTP/1.1 peer may cost, with units. Every limit has a test that hits it.

/** Limits on what is parsed, the same in both directions. */
export interface ParseLimits {
  /** Request or status line and all header lines. Over it: 431 (request), 502 (response). */
  headBytesMax: number;
  headerCountMax: number;
  /** In one chunk-size line; a signed upload has about 90. */
  chunkExtensionBytesMax: number;
  trailerBytesMax: number;
}

/** Limits of downstream connections. */
export interface Http1Limits extends ParseLimits {
  /** From the first byte of a head to its last. */
  headTimeoutMs: number;
  /** Of a connection without an exchange. */
  idleTimeoutMs: number;
  /** Of an exchange without a byte in either direction, tunnels included; 0: none. */
  streamIdleTimeoutMs: number;
  /** 0: none. */
  requestsPerConnectionMax: number;
  /** 0: none. Over it: 413. */
  bodyBytesMax: number;
  /** Of a request body that nobody wants, read only to keep the connection or deliver the answer. */
  drainBytesMax: number;
  drainTimeoutMs: number;
  /** A connection that is kept alive may bring one more request when it is to end; 0: none. */
  drainIdleMs: number;
}

/** Limits of one pool of upstream connections. */
export interface Http1PoolLimits extends ParseLimits {
  connectionsMax: number;
  /** Requests that wait for a connection. Over it: 503 overloaded. */
  pendingMax: number;
  /** Also how long a request waits for a connection. */
  connectTimeoutMs: number;
  /** Shorter than usual keep-alive timeouts of applications (5 s in Node), to lose fewer races. */
  idleTimeoutMs: number;
  /** 0: none. */
  requestsPerConnectionMax: number;
  /** How long a connection takes new requests; 0: for ever. */
  connectionMsMax: number;
}

const parseLimits: ParseLimits = {
  headBytesMax: 60 * 1024,
  headerCountMax: 100,
  chunkExtensionBytesMax: 4 * 1024,
  trailerBytesMax: 16 * 1024,
};

export const http1Limits: Readonly<Http1Limits> = Object.freeze({
  ...parseLimits,
  headTimeoutMs: 60_000,
  idleTimeoutMs: 3_600_000,
  streamIdleTimeoutMs: 3_600_000,
  requestsPerConnectionMax: 0,
  bodyBytesMax: 0,
  drainBytesMax: 256 * 1024,
  drainTimeoutMs: 2_000,
  drainIdleMs: 500,
});

export const http1PoolLimits: Readonly<Http1PoolLimits> = Object.freeze({
  ...parseLimits,
  connectionsMax: 1_024,
  pendingMax: 1_024,
  connectTimeoutMs: 10_000,
  idleTimeoutMs: 4_000,
  requestsPerConnectionMax: 0,
  connectionMsMax: 0,
});
