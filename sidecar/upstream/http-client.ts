// Calls of the sidecar's own, to authorizers and token endpoints, by undici, which is loaded when the first is made.
import type { Socket } from 'node:net';
import type { Agent, buildConnector } from 'undici';

import type { InForce } from '../in-force.ts';
import { openPlain } from './member.ts';
import type { Upstreams } from './upstreams.ts';

export interface HttpAsk {
  /** `http://host:port`: a service of the mesh gets mutual TLS. `https://host:port`: outside, by the roots of the system. */
  readonly origin: string;
  readonly path: string;
  readonly method: string;
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body?: Buffer | string;
  readonly timeoutMs: number;
  /** A longer answer is an error. */
  readonly answerBytesMax: number;
}

export interface HttpAnswer {
  readonly status: number;
  /** Names in lower case. */
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body: string;
}

/** Rejects when no whole answer comes in time. */
export type HttpClient = (ask: HttpAsk) => Promise<HttpAnswer>;

/** What is asked cannot be sent: nobody was. */
export class Unsendable extends Error {}

const keepAliveMs = 4000;

export function createHttpClient(inForce: InForce, upstreams: Upstreams): HttpClient {
  let agent: Agent | null = null;
  return async ({ origin, path, method, headers, body, timeoutMs, answerBytesMax }) => {
    // By `default`: a bundle of a CommonJS package, loaded lazily, has no other export.
    const undici = (await import('undici')).default;
    if (agent === null) {
      const outside = undici.buildConnector({ allowH2: false });
      agent = new undici.Agent({
        connect: (options, callback) => {
          if (options.protocol === 'https:') outside(options, callback);
          else connect(inForce, upstreams, options, callback);
        },
        keepAliveTimeout: keepAliveMs,
      });
    }
    const call = {
      origin,
      path,
      method,
      headers: headers.flat(),
      ...(body !== undefined && { body }),
      headersTimeout: 0,
      bodyTimeout: 0,
      signal: AbortSignal.timeout(timeoutMs),
    };
    const answer = await agent.request(call).catch((error: unknown) => {
      if (!(error instanceof undici.errors.InvalidArgumentError)) throw error;
      throw new Unsendable(error.message, { cause: error });
    });
    const text = await readText(answer.body, answerBytesMax);
    return { status: answer.statusCode, headers: pairsOf(answer.headers), body: text };
  };
}

/** A service of the mesh gets mutual TLS to one of its endpoints, any other name plain TCP. */
function connect(
  inForce: InForce,
  upstreams: Upstreams,
  options: buildConnector.Options,
  callback: buildConnector.Callback,
): void {
  const port = Number(options.port || '80');
  const route = inForce.current()?.routes.find(`${options.hostname}:${port}`, port);
  if (route === undefined || route === 'unknown-port' || route === 'unknown-host') {
    settle(openPlain(options.hostname, port), 'connect', callback);
    return;
  }
  const member = upstreams.cluster(route)?.pick([]) ?? null;
  if (member === null) callback(new Error(`${options.hostname} has no endpoint`), null);
  else settle(member.openHttp(), member.openEvent, callback);
}

function settle(socket: Socket, event: string, callback: buildConnector.Callback): void {
  const onError = (error: Error): void => callback(error, null);
  socket.once('error', onError);
  socket.once(event, () => {
    socket.off('error', onError);
    callback(null, socket);
  });
}

async function readText(body: AsyncIterable<Uint8Array>, bytesMax: number): Promise<string> {
  const parts: Uint8Array[] = [];
  let bytes = 0;
  for await (const part of body) {
    bytes += part.length;
    if (bytes > bytesMax) throw new Error(`the answer has more than ${bytesMax} bytes`);
    parts.push(part);
  }
  return Buffer.concat(parts).toString('utf8');
}

function pairsOf(headers: unknown): HttpAnswer['headers'] {
  if (typeof headers !== 'object' || headers === null) return [];
  return Object.entries(headers).flatMap(([name, value]: [string, unknown]) => {
    const values: unknown[] = Array.isArray(value) ? value : [value];
    return values.map((one) => [name.toLowerCase(), String(one)] as const);
  });
}
