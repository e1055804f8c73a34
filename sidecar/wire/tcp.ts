// Relays bytes between two sockets: backpressure and half-close kept, both closed if one fails.
import type { Socket } from 'node:net';

/** How a relay came to its end. */
export type RelayEnd =
  | 'ended'
  | 'downstream-failed'
  | 'upstream-failed'
  | 'idle'
  /** By `close`. */
  | 'closed';

/** Counters that the relay keeps up to date. */
export interface RelayCounters {
  /** Bytes read from downstream. */
  receivedBytes: number;
  /** Bytes written downstream. */
  sentBytes: number;
}

export interface RelayOptions {
  readonly downstream: Socket;
  readonly upstream: Socket;
  readonly counters: RelayCounters;
  /** Closes both when no byte moved either way for so long; 0: never. */
  readonly idleTimeoutMs: number;
  /** Called once, when both sockets are closed or about to be. */
  readonly onEnd: (end: RelayEnd) => void;
}

export interface Relay {
  /** Closes both sockets at once. */
  close(): void;
}

/** As Envoy's tcp_proxy idle_timeout, and as Istio leaves it. */
export const relayIdleTimeoutMs = 3_600_000;

/**
 * Starts relaying. Both sockets must be open, with `allowHalfOpen`; bytes pushed back on either
 * with `unshift` go first.
 */
export function relay(options: RelayOptions): Relay {
  const { downstream, upstream, counters, idleTimeoutMs } = options;
  let ended = false;
  const end = (how: RelayEnd): void => {
    if (ended) return;
    ended = true;
    if (how !== 'ended') {
      downstream.destroy();
      upstream.destroy();
    }
    options.onEnd(how);
  };
  downstream.on('data', (bytes: Buffer) => {
    counters.receivedBytes += bytes.length;
    if (!upstream.write(bytes)) downstream.pause();
  });
  upstream.on('data', (bytes: Buffer) => {
    counters.sentBytes += bytes.length;
    if (!downstream.write(bytes)) upstream.pause();
  });
  join(downstream, upstream, () => end('downstream-failed'));
  join(upstream, downstream, () => end('upstream-failed'));
  let open = 2;
  const closed = (other: Socket): void => {
    open -= 1;
    if (open === 0) end('ended');
    // A side that is gone without an end takes the other with it, once its last bytes are out.
    else if (!other.writableEnded) other.end(() => other.destroy());
  };
  downstream.once('close', () => closed(upstream));
  upstream.once('close', () => closed(downstream));
  if (idleTimeoutMs > 0) watchIdle(downstream, upstream, idleTimeoutMs, () => end('idle'));
  return { close: () => end('closed') };
}

/** One direction: what `from` tells is passed on to `to`. */
function join(from: Socket, to: Socket, fail: () => void): void {
  from.on('end', () => to.end());
  from.on('error', fail);
  to.on('drain', () => from.resume());
  from.resume();
}

/** A socket's timer restarts whenever it reads or writes, so one of the two sees every byte. */
function watchIdle(one: Socket, other: Socket, timeoutMs: number, expire: () => void): void {
  one.setTimeout(timeoutMs, expire);
  one.once('close', () => one.setTimeout(0));
  // The other side's own timeout, if it had one while connecting, must not end the relay.
  other.setTimeout(0);
}
