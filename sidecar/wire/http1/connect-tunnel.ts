// Turns a served connection into one side of a relay, for CONNECT.
import type { Socket } from 'node:net';

import { relay, relayIdleTimeoutMs } from '../tcp.ts';
import type { ByteStream, Relay, RelayCounters } from '../tcp.ts';

/**
 * @param downstream nobody listens to its data any more
 * @param rest bytes read from it that nobody used; null: none
 * @param idleTimeoutMs 0: the relay's own default
 * @param over called once at the end
 */
export function openTunnel(
  downstream: Socket,
  rest: Buffer | null,
  upstream: ByteStream,
  idleTimeoutMs: number,
  over: (counters: RelayCounters) => void,
): Relay {
  const counters = { receivedBytes: 0, sentBytes: 0 };
  downstream.allowHalfOpen = true;
  if (rest !== null) downstream.unshift(rest);
  return relay({
    downstream,
    upstream,
    counters,
    idleTimeoutMs: idleTimeoutMs || relayIdleTimeoutMs,
    onEnd: () => over(counters),
  });
}
