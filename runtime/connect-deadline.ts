// TCP's part of a call within a cluster, which is short, told apart from all that may take its time.
import type { ClientHttp2Session } from 'node:http2';

/**
 * Room for a SYN that is lost once. A Service may still lead to a pod that is gone, and the kernel
 * stays with that choice for as long as one connection is tried: only a new one may get another.
 */
export const connectTimeoutMs = 3_000;

/** Calls `late` when TCP has not connected in time; the name's resolution does not count. */
export function whenConnectIsLate(
  session: ClientHttp2Session,
  timeoutMs: number,
  late: (reason: string) => void,
): void {
  let timer: NodeJS.Timeout | undefined;
  const stop = (): void => clearTimeout(timer);
  const { socket } = session;
  socket.on('connectionAttempt', () => {
    timer ??= setTimeout(() => late(`no connection within ${timeoutMs} ms`), timeoutMs);
  });
  socket.once('connect', stop);
  session.once('close', stop);
}
