// The inbound request path: what happens to a request on its way to the application.
import type { Socket } from 'node:net';

import { decide } from '#policy/decide.ts';
import { describe } from '#policy/explain.ts';

import type { Exchange, ResponseView } from '../exchange.ts';
import { failures } from '../failures.ts';
import type { Enforced, InForce } from '../in-force.ts';
import { composePath, ENDED, type Outcome } from '../request-path.ts';
import { addAskedHeaders, addServiceTime, setServer } from '../response-edits.ts';
import { sanitizeInbound, stripSteering } from '../sanitize.ts';
import type { Telemetry } from '../telemetry/types.ts';
import { http1Limits } from '../wire/http1/limits.ts';
import type { Http1Connection } from '../wire/http1/connection.ts';
import { Http1Server } from '../wire/http1/server.ts';
import type { Authorizers } from './authorizer.ts';
import { InboundConnection, type Carrier } from './connection.ts';
import { HeldRequest } from './held-request.ts';
import { admitLayer, authorizeLayer, tokenLayer } from './layers.ts';

export interface InboundHttpOptions {
  readonly inForce: InForce;
  readonly telemetry: Telemetry;
  readonly authorizers: Authorizers;
  readonly onFault: (error: unknown, x: Exchange) => void;
}

/** Makes the server of all inbound HTTP connections. */
export function createInboundHttp(options: InboundHttpOptions): Http1Server {
  const { inForce, telemetry, authorizers, onFault } = options;
  const path = composePath({
    observer: telemetry,
    request: [
      admitLayer(inForce),
      sanitizeInbound,
      (x) => authorizers.judge(x),
      tokenLayer,
      authorizeLayer,
      stripSteering,
      forward,
    ],
    response: [
      setServer,
      addServiceTime,
      addAskedHeaders,
      (x, response) => holdTunnel(inForce, x, response),
    ],
    finish: releaseTunnel,
    onFault,
  });
  return new Http1Server({ limits: http1Limits, path });
}

/** Hands an admitted connection to the server, and registers what it carries. */
export function serveHttp(
  server: Http1Server,
  connection: InboundConnection,
  socket: Socket,
  firstBytes: Buffer | null,
): void {
  const carrier = new HttpCarrier(connection);
  connection.carry(carrier);
  carrier.http = server.accept(socket, connection, firstBytes);
}

function forward(x: Exchange): Outcome {
  const { downstream } = x;
  if (!(downstream instanceof InboundConnection)) return failures.internal;
  x.stream.forward(downstream.target.pool);
  return ENDED;
}

/**
 * A tunnel outlives the verdict that let it open, so its request is kept to be judged again. What
 * is in force may have changed while the application made up its mind.
 */
function holdTunnel(inForce: InForce, x: Exchange, response: ResponseView): void {
  const { downstream } = x;
  if (response.status !== 101 || !(downstream instanceof InboundConnection)) return;
  downstream.tunnel = new HeldRequest(x.request);
  const enforced = inForce.current();
  if (enforced === null || enforced === x.enforced) return;
  // Not from within the engine's own call.
  if (downstream.judge(enforced) !== '') setImmediate(() => downstream.revoke());
}

function releaseTunnel(x: Exchange): void {
  if (x.downstream instanceof InboundConnection) x.downstream.tunnel = null;
}

class HttpCarrier implements Carrier {
  http: Http1Connection | null = null;
  readonly #connection: InboundConnection;

  constructor(connection: InboundConnection) {
    this.#connection = connection;
  }

  /** Each request is judged by itself; a tunnel by the request that opened it. */
  judge({ policies }: Enforced): string {
    const { tunnel, facts } = this.#connection;
    if (tunnel === null) return '';
    const verdict = decide(policies.http, facts, tunnel);
    return verdict.allowed ? '' : describe(policies.http, verdict);
  }

  revoke(): void {
    if (this.#connection.tunnel === null) this.http?.drain(false);
    else this.http?.close();
  }

  close(): void {
    this.http?.close();
  }

  drain(): void {
    this.http?.drain();
  }
}
