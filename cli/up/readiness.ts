// Waiting, with a limit, for processes that were just started.
import { request } from 'node:http';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

export interface Reply {
  readonly status: number;
  readonly body: string;
}

/** One GET on loopback; status 0 when nobody answers. */
export function get(url: string, timeoutMs = 2000): Promise<Reply> {
  return new Promise((resolve) => {
    const none = (): void => resolve({ status: 0, body: '' });
    const call = request(url, { timeout: timeoutMs, agent: false }, (response) => {
      let body = '';
      response.setEncoding('utf8');
      response.on('data', (text: string) => (body += text));
      response.once('end', () => resolve({ status: response.statusCode ?? 0, body }));
      response.once('error', none);
    });
    call.once('timeout', () => call.destroy());
    call.once('error', none);
    call.end();
  });
}

/**
 * Polls until the URL answers 200.
 * @throws naming what did not get ready, with its last answer; the signal's reason when that comes first
 */
export async function untilReady(
  name: string,
  url: string,
  timeoutMs: number,
  signal?: AbortSignal,
): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  let last: Reply = { status: 0, body: '' };
  while (performance.now() < deadline) {
    last = await get(url);
    if (last.status === 200) return;
    signal?.throwIfAborted();
    await sleep(50);
  }
  const said =
    last.status === 0 ? 'it does not answer' : `it says ${last.status} ${last.body.trim()}`;
  throw new Error(`${name} did not get ready in ${timeoutMs / 1000} s: ${said}`);
}

/** Whether something accepts connections on a loopback port. */
export function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port });
    socket.once('connect', () => {
      // Read to the end: a reset would have some servers print a stack trace.
      socket.resume();
      socket.end();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
    socket.setTimeout(1000, () => socket.destroy());
  });
}
