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

/** Polls until the URL answers 200. @throws naming what did not get ready, with its last answer */
export async function untilReady(name: string, url: string, timeoutMs: number): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  let last: Reply = { status: 0, body: '' };
  while (performance.now() < deadline) {
    last = await get(url);
    if (last.status === 200) return;
    await sleep(50);
  }
  const said =
    last.status === 0 ? 'it does not answer' : `it says ${last.status} ${last.body.trim()}`;
  throw new Error(`${name} did not get ready in ${timeoutMs / 1000} s: ${said}`);
}

/** Waits until something accepts connections on a loopback port. @throws after the timeout */
export async function untilListening(port: number, timeoutMs: number): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  while (performance.now() < deadline) {
    if (await accepts(port)) return;
    await sleep(50);
  }
  throw new Error(`nothing listens on 127.0.0.1:${port} after ${timeoutMs / 1000} s`);
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port });
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
