// Calls to external authorizers, by undici, which is loaded when the first one is asked.
import type { Socket } from 'node:net';
import type { Agent, buildConnector } from 'undici';

import type { InForce } from '../in-force.ts';
import { openPlain } from '../upstream/member.ts';
import type { Upstreams } from '../upstream/upstreams.ts';
import { Unaskable, type CheckCall, type CheckReply } from './authorizer.ts';

/** A refusal's body is passed to the client; more than this is cut off with an error. */
const bodyBytesMax = 64 * 1024;

export function createCheckCall(inForce: InForce, upstreams: Upstreams): CheckCall {
  let agent: Agent | null = null;
  return async (check) => {
    // By `default`: a bundle of a CommonJS package, loaded lazily, has no other export.
    const { Agent: UndiciAgent, errors } = (await import('undici')).default;
    agent ??= new UndiciAgent({
      connect: (options, callback) => connect(inForce, upstreams, options, callback),
      keepAliveTimeout: 4000,
    });
    const signal = AbortSignal.timeout(check.timeoutMs);
    const call = {
      origin: `http://${hostOf(check.service)}:${check.port}`,
      path: check.path,
      method: check.method,
      headers: check.headers.flat(),
      headersTimeout: 0,
      bodyTimeout: 0,
      signal,
    };
    const response = await agent.request(call).catch((error: unknown) => {
      if (!(error instanceof errors.InvalidArgumentError)) throw error;
      throw new Unaskable(error.message, { cause: error });
    });
    return readReply(response.statusCode, response.headers, response.body);
  };
}

/** A service of the mesh gets mutual TLS to one of its endpoints, any other name plain TCP. */
function connect(
  inForce: InForce,
  upstreams: Upstreams,
  options: buildConnector.Options,
  callback: buildConnector.Callback,
): void {
  const port = Number(options.port);
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

async function readReply(
  status: number,
  headers: unknown,
  body: AsyncIterable<Uint8Array>,
): Promise<CheckReply> {
  const parts: Uint8Array[] = [];
  let bytes = 0;
  for await (const part of body) {
    bytes += part.length;
    if (bytes > bodyBytesMax) throw new Error(`the answer has more than ${bodyBytesMax} bytes`);
    parts.push(part);
  }
  return { status, headers: pairsOf(headers), body: Buffer.concat(parts).toString('utf8') };
}

function pairsOf(headers: unknown): CheckReply['headers'] {
  if (typeof headers !== 'object' || headers === null) return [];
  return Object.entries(headers).flatMap(([name, value]: [string, unknown]) => {
    const values: unknown[] = Array.isArray(value) ? value : [value];
    return values.map((one) => [name.toLowerCase(), String(one)] as const);
  });
}

/** `ext-authz.ns.svc.cluster.local`, or Istio's `namespace/host`. */
function hostOf(service: string): string {
  return service.slice(service.indexOf('/') + 1);
}
