// The inbound request path: what happens to a request on its way to the application.
import type { Socket } from 'node:net';

import { decide } from '#policy/decide.ts';
import { describe } from '#policy/explain.ts';

import { apiKeyLayer } from '../credentials/api-key-layer.ts';
import { answerFailure, cacheLayer, cacheResponse } from '../cache/layer.ts';
import type { Exchange, ResponseView } from '../exchange.ts';
import { cutFailureId } from '../failure-id.ts';
import { failures } from '../failures.ts';
import { filterLayer } from '../filter/layer.ts';
import type { Enforced, InForce } from '../in-force.ts';
import { limitLayer, releaseLimits } from '../limit/layer.ts';
import { composePath, ENDED, type Outcome } from '../request-path.ts';
import { addAskedHeaders, addServiceTime, setServer } from '../response-edits.ts';
import { sanitizeInbound, stripSteering } from '../sanitize.ts';
import { transformLayer } from '../transform/layer.ts';
import { transformResponse } from '../transform/response.ts';
import type { Telemetry } from '../telemetry/types.ts';
import { HttpServer, type HttpConnection } from '../wire/http-server.ts';
import { http1Limits } from '../wire/http1/limits.ts';
import { http2Limits } from '../wire/http2/limits.ts';
import type { Authorizers } from '../authorizer/authorizers.ts';
import { InboundConnection, type Carrier } from './connection.ts';
import { HeldRequest } from './held-request.ts';
import { admitLayer, authorizeLayer, tokenLayer } from './layers.ts';
import { cutUnanswered, unansweredLine } from '../unanswered.ts';

export interface InboundHttpOptions {
  readonly inForce: InForce;
  readonly telemetry: Telemetry;
  readonly authorizers: Authorizers;
  readonly onFault: (error: unknown, x: Exchange) => void;
}

/** Makes the server of all inbound HTTP connections. */
export function createInboundHttp(options: InboundHttpOptions): HttpServer {
  const { inForce, telemetry, authorizers, onFault } = options;
  const path = composePath({
    observer: telemetry,
    request: [
      admitLayer(inForce),
      sanitizeInbound,
      apiKeyLayer,
      (x) => authorizers.judge(x),
      tokenLayer,
      authorizeLayer,
      limitLayer,
      stripSteering,
      filterLayer,
      transformLayer,
      cacheLayer,
      forward,
    ],
    response: [
      (_x, response) => cutUnanswered(response),
      cutFailureId,
      setServer,
      cacheResponse,
      transformResponse,
      addServiceTime,
      addAskedHeaders,
      (x, response) => holdTunnel(inForce, x, response),
    ],
    finish: release,
    answerFailure,
    unanswered: tellPeer,
    onFault,
  });
  return new HttpServer({ http1: http1Limits, http2: http2Limits, path });
}

/** Hands an admitted connection to the server, and registers what it carries. */
export function serveHttp(
  server: HttpServer,
  connection: InboundConnection,
  socket: Socket,
  firstBytes: Buffer | null,
  alpn: string,
): void {
  const carrier = new HttpCarrier(connection);
  connection.carry(carrier);
  carrier.http = server.accept(socket, connection, firstBytes, alpn);
}

/** By what the port declares; where it declares nothing, by what the caller speaks (as Istio). */
function forward(x: Exchange): Outcome {
  const { downstream, enforced } = x;
  if (!(downstream instanceof InboundConnection) || enforced === null) return failures.internal;
  const { target } = downstream;
  if (target.connections !== null) {
    const refused = target.begin();
    if (refused !== null) return refused;
    x.counted = target;
  }
  const { port, pool } = target;
  const protocol = enforced.policies.portProtocol(port);
  const http2 = protocol === 'detect' ? x.protocol === 'HTTP/2' : isHttp2(protocol);
  const grpc = x.transformed?.transcoded === true;
  x.stream.forward(http2 || grpc ? pool : pool.http1);
  return ENDED;
}

/**
 * The application did not take the connection, or went away (it ends, and its callers have not heard
 * yet): sidecars are told, and may ask another. Other clients get the plain 503.
 */
function tellPeer(x: Exchange, untouched: boolean): boolean {
  if (!x.downstream.facts.mtls) return false;
  if (untouched && x.protocol === 'HTTP/2') return true;
  x.replyHeaders += unansweredLine(untouched);
  return false;
}

function isHttp2(protocol: string): boolean {
  return protocol === 'http2' || protocol === 'grpc';
}

/**
 * A tunnel outlives the verdict that let it open, so its request is kept to be judged again. What
 * is in force may have changed while the application made up its mind.
 */
function holdTunnel(inForce: InForce, x: Exchange, response: ResponseView): void {
  const { downstream } = x;
  if (response.status !== 101 || !(downstream instanceof InboundConnection)) return;
  downstream.tunnels.set(x, x.judged ?? new HeldRequest(x.request));
  const enforced = inForce.current();
  if (enforced === null || enforced === x.enforced) return;
  // Not from within the engine's own call.
  if (downstream.judge(enforced) !== '') setImmediate(() => downstream.revoke());
}

function release(x: Exchange): void {
  releaseLimits(x);
  x.counted?.end();
  x.counted = null;
  if (x.downstream instanceof InboundConnection) x.downstream.tunnels.delete(x);
}

class HttpCarrier implements Carrier {
  http: HttpConnection | null = null;
  readonly #connection: InboundConnection;
  /** Tunnels that the last judgement found against. */
  #denied: Exchange[] = [];

  constructor(connection: InboundConnection) {
    this.#connection = connection;
  }

  /** Each request is judged by itself; a tunnel by the request that opened it. */
  judge({ policies }: Enforced): string {
    const { tunnels, facts } = this.#connection;
    let reason = '';
    for (const [x, request] of tunnels) {
      const verdict = decide(policies.http, facts, request);
      if (verdict.allowed) continue;
      this.#denied.push(x);
      reason = describe(policies.http, verdict);
    }
    return reason;
  }

  /** Denied tunnels end; where it is the peer that is no longer admitted, everything does. */
  revoke(): void {
    const denied = this.#denied;
    this.#denied = [];
    for (const x of denied) x.stream.cutOff();
    if (denied.length > 0) return;
    for (const x of this.#connection.tunnels.keys()) x.stream.cutOff();
    this.http?.drain(false);
  }

  close(): void {
    this.http?.close();
  }

  drain(): void {
    this.http?.drain();
  }
}
