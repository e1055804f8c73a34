// Relays bytes between two sockets: backpressure, half-close and resets are passed on.
import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';

import { reset, resetWhenFlushed } from './reset.ts';
import { TurnWriter } from './turn-writer.ts';

/** A socket, or what stands for one. */
export interface ByteStream extends Duplex {
  setTimeout(timeoutMs: number, expire?: () => void): unknown;
  destroySoon(): void;
  resetAndDestroy(): unknown;
}

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
  readonly upstream: ByteStream;
  readonly counters: RelayCounters;
  /** Bytes read from downstream already, which may have ended since; they go first. */
  readonly head?: Buffer;
  /** Closes both when no byte moved either way for so long; 0: never. */
  readonly idleTimeoutMs: number;
  /** Called once, when both sockets are closed or about to be. */
  readonly onEnd: (end: RelayEnd) => void;
}

export interface Relay {
  /** Resets both sockets at once. */
  close(): void;
}

/** As Envoy's tcp_proxy idle_timeout, and as Istio leaves it. */
export const relayIdleTimeoutMs = 3_600_000;

/**
 * Starts relaying. Both sockets must be open, with `allowHalfOpen`; bytes pushed back on either
 * with `unshift` go first. A side that fails, or closes before it has ended, resets the other once
 * that has what came before: cut-off data must not look whole.
 */
export function relay(options: RelayOptions): Relay {
  const { downstream, upstream, counters, head, idleTimeoutMs } = options;
  let ended = false;
  const end = (how: RelayEnd): void => {
    if (ended) return;
    ended = true;
    toUpstream?.flush();
    toDownstream?.flush();
    settle(how, downstream, upstream);
    options.onEnd(how);
  };
  const toUpstream = gathererOf(downstream, upstream);
  const toDownstream = gathererOf(upstream, downstream);
  if (head !== undefined && head.length > 0) {
    counters.receivedBytes += head.length;
    upstream.write(head);
  }
  downstream.on('data', (bytes: Buffer) => {
    counters.receivedBytes += bytes.length;
    if (!write(toUpstream, upstream, bytes)) downstream.pause();
  });
  upstream.on('data', (bytes: Buffer) => {
    counters.sentBytes += bytes.length;
    if (!write(toDownstream, downstream, bytes)) upstream.pause();
  });
  let open = 2;
  const join = (
    from: ByteStream,
    to: ByteStream,
    out: TurnWriter | null,
    failed: RelayEnd,
  ): void => {
    if (from.readableEnded) to.end();
    else
      from.on('end', () => {
        out?.flush();
        to.end();
      });
    from.on('error', () => end(failed));
    from.once('close', () => {
      open -= 1;
      if (open === 0) end('ended');
      else if (!from.readableEnded || !from.writableFinished) end(failed);
    });
    to.on('drain', () => from.resume());
    from.resume();
  };
  join(downstream, upstream, toUpstream, 'downstream-failed');
  join(upstream, downstream, toDownstream, 'upstream-failed');
  if (idleTimeoutMs > 0) watchIdle(downstream, upstream, idleTimeoutMs, () => end('idle'));
  return { close: () => end('closed') };
}

/** TLS gives its records one by one, 16 KB at most: those of one turn go on in one write. */
function gathererOf(from: ByteStream, to: ByteStream): TurnWriter | null {
  const plain = to instanceof Socket && !('encrypted' in to);
  return 'encrypted' in from && plain ? new TurnWriter(to) : null;
}

function write(out: TurnWriter | null, to: ByteStream, bytes: Buffer): boolean {
  return out === null ? to.write(bytes) : out.copy(bytes, 0, bytes.length);
}

function settle(how: RelayEnd, downstream: ByteStream, upstream: ByteStream): void {
  if (how === 'downstream-failed') resetWhenFlushed(upstream);
  else if (how === 'upstream-failed') resetWhenFlushed(downstream);
  else if (how === 'closed') {
    reset(downstream);
    reset(upstream);
  } else if (how === 'idle') {
    // As Envoy: nothing was cut off that anybody was still sending.
    downstream.destroy();
    upstream.destroy();
  }
}

/** A socket's timer restarts whenever it reads or writes, so one of the two sees every byte. */
function watchIdle(
  one: ByteStream,
  other: ByteStream,
  timeoutMs: number,
  expire: () => void,
): void {
  // The other side's own timeout, if it had one while connecting, must not end the relay.
  other.setTimeout(0);
  one.setTimeout(timeoutMs, expire);
  one.once('close', () => one.setTimeout(0));
}
