// One request and its response as every layer sees them, whatever protocol carries them.
import type { Endpoint, Service } from '#api/snapshot.ts';
import type { ConnectionFacts, RequestFacts, TokenFacts } from '#policy/facts.ts';
import type { Verdict } from '#policy/verdict.ts';

import type { CacheUse } from './cache/layer.ts';
import type { Failure } from './failures.ts';
import type { Enforced } from './in-force.ts';
import type { HeldRequest } from './inbound/held-request.ts';
import type { Destination as OutboundDestination } from './outbound/destination.ts';
import type { Routed } from './outbound/routed.ts';
import type { CallSession } from './outbound/session.ts';
import type { ResponseTap } from './response-tap.ts';
import type { Transformed } from './transform/layer.ts';
import type { Member } from './upstream/member.ts';
import type { GrpcMessages } from './wire/grpc-messages.ts';
import type { ByteStream } from './wire/tcp.ts';
import type { UpstreamCall } from './wire/upstream.ts';

/**
 * A request head. Edits change what is forwarded, and what `values` gives from then on: policies
 * see a header that a layer cut as absent, and one that it appended as present.
 */
export interface RequestView extends RequestFacts {
  /** The target's bytes as sent, latin-1: `/a%2Fb?c`, `http://host/a`, `*`, `host:443`. */
  readonly rawTarget: string;
  /** HTTP minor version: 0 or 1. */
  readonly minor: number;
  path: string;
  authority: string;
  scheme: string;
  token: TokenFacts | null;
  /** The lower-case value of `Upgrade` when `Connection` names it, else ''. */
  readonly upgrade: string;
  /** A body follows (content-length over 0, or chunked). */
  readonly hasBody: boolean;
  /** Rewrites the target (origin-form) that is forwarded; also changes `path`. */
  setPath(path: string): void;
  /** Rewrites `Host`; also changes `authority`. */
  setAuthority(authority: string): void;
  /** Makes it the call of a gRPC method: POST of that path, with `te: trailers`. */
  callGrpc(path: string): void;
  /** Cuts every line of a header. @param name lower-case */
  remove(name: string): void;
  /** As `remove`, for names that the application must believe: also `a_b` for `a-b`, as CGI reads them. */
  removeSpellings(name: string): void;
  /** Whether any line's name begins so. @param prefix lower-case */
  hasPrefix(prefix: string): boolean;
  /** Adds a line after those of the client. @param name lower-case; no CR, LF or NUL in either */
  append(name: string, value: string): void;
  /** Every header line in order, names as sent. For logs and authorizers, not the hot path. */
  lines(): [name: string, value: string][];
}

/** A response head from the upstream. */
export interface ResponseView {
  readonly status: number;
  values(name: string): readonly string[];
  remove(name: string): void;
  append(name: string, value: string): void;
}

/** A body that was read; `too-large`, `late`: not all of it. `gone`: so is the client. */
export type BodyRead = Buffer | 'too-large' | 'late' | 'gone';

/** What the wire engine can do with an exchange. Of those that decide (`reply` … `serveInside`) one is called, once. */
export interface RequestStream {
  /**
   * Answers from here. The rest of the body is read and dropped, or the connection closed.
   * @param headers lines `name: value\r\n`; content-length is added
   */
  reply(status: number, headers: string, body: string | Buffer, close: boolean): void;
  /** Sends the head (with its edits) and body upstream and relays the answer. */
  forward(upstream: UpstreamPool): void;
  /** Answers 200 to CONNECT, then relays bytes both ways, half-close kept. */
  tunnel(upstream: ByteStream): void;
  /**
   * Answers 200 to CONNECT and reads on: what comes through is HTTP, served on this connection.
   * The CONNECT itself is no call to anybody, so the path's `finish` does not hear of it.
   */
  serveInside(): void;
  /**
   * Reads the request's body before anything was decided. `whole` or not, what came goes upstream with the
   * next `forward`; of what is not whole, the rest follows it. Of several layers that read it each gets the same.
   * @param waitMs how long at most; 0: as long as the connection allows
   */
  readBody(bytesMax: number, waitMs?: number): Promise<BodyRead>;
  /** What `readBody` has read, whole or not; empty before. */
  bodyStart(): Buffer;
  /** Another body in place of the one that was read whole. */
  replaceBody(body: Buffer): void;
  /** Limits the time of the exchange from here on, and of each of its tries. @param totalMs 0: no limit */
  limitTime(totalMs: number, perTryMs: number): void;
  /** Ends the exchange, whatever state it is in, because it may no longer go on. */
  cutOff(): void;
}

/** Connections to one endpoint, as the wire engine uses them. */
export interface UpstreamPool {
  /** `address:port` for logs. */
  readonly address: string;
  /** A call is held back for so long before anything is done with it; left out: it is not. */
  readonly delayMs?: number;
  /** Grants the call a way to the upstream, now or later, or fails it. */
  request(call: UpstreamCall): void;
  /** A call that waits wants nothing any more. */
  cancel(call: UpstreamCall): void;
  /** Closes idle connections, lets busy ones end. */
  close(): void;
}

/** What is known of the downstream connection; shared by all its exchanges. */
export interface Downstream {
  readonly facts: ConnectionFacts;
  /** Direction of the listener that accepted it. */
  readonly direction: 'inbound' | 'outbound';
  readonly remoteAddress: string;
  readonly remotePort: number;
  readonly localAddress: string;
  readonly localPort: number;
  /** `By=…;Hash=…;Subject="…";URI=…` of the peer's certificate, made once; '' without. */
  readonly forwardedClientCert: string;
  /** For telemetry: series resolved once for this peer. Only telemetry touches it. */
  telemetry: unknown;
}

const NONE: readonly never[] = Object.freeze([]);

/** What counts calls under way. */
export interface Counted {
  end(): void;
}

/** One exchange. The wire engine makes it, layers fill it, telemetry reads it at its end. */
export class Exchange {
  readonly downstream: Downstream;
  readonly request: RequestView;
  readonly stream: RequestStream;
  /** `HTTP/1.1`, `HTTP/2`. */
  readonly protocol: string;

  /** performance.now() when the first byte of the head was read. */
  startedAtMs = 0;
  /** performance.now() when the head went upstream; 0: never. */
  forwardedAtMs = 0;
  /** performance.now() when the upstream's response head came; 0: never. */
  respondedAtMs = 0;
  /** performance.now() at the end. */
  finishedAtMs = 0;
  /** Status sent downstream; 0: none was. */
  status = 0;
  requestBodyBytes = 0;
  responseBodyBytes = 0;
  /** Counts it as under way until its end; null: nothing does. */
  counted: Counted | null = null;
  /** What was in force when the request began; all its layers read this, whatever comes later. */
  enforced: Enforced | null = null;
  verdict: Verdict | null = null;
  failure: Failure | null = null;
  /** Of the failure: value of `x-selvage-id`; '' where nothing failed here. */
  id = '';
  /** Envoy's response code details where they differ from the failure's own. */
  details = '';
  /** Lines `name: value\r\n` that an answer of our own carries beside the usual ones. */
  replyHeaders = '';
  /** Lines that a layer adds to the upstream's response. */
  responseHeaders: readonly (readonly [name: string, value: string])[] = NONE;
  /** Lines that a layer cuts from the upstream's response before those are added. */
  responseCuts: readonly string[] = NONE;
  /** Named in telemetry; null: unknown. */
  service: Service | null = null;
  servicePort = 0;
  endpoint: Endpoint | null = null;
  /** `address:port` of the upstream; '' without one. */
  upstreamAddress = '';
  attempts = 0;
  /** Outbound: the chosen endpoint with its connections; null before, and outside the mesh. */
  member: Member | null = null;
  /** Outbound: where the call goes, before an endpoint is chosen; null: not known yet. */
  to: OutboundDestination | null = null;
  /** Outbound: what a route makes of the call; null: no route says anything of it. */
  routed: Routed | null = null;
  /** The present member has not heard yet how its try ends. */
  trying = false;
  /** This try counts against the cluster's retries. */
  retrying = false;
  /** Value of a cookie that the caller is given, so that it stays with its endpoint; '': none. */
  stickyCookie = '';
  /** Null: its route knows no sessions. */
  session: CallSession | null = null;
  /** A route's fault held it up. */
  delayed = false;
  /** Members that did nothing with the call, one for each attempt that failed. */
  tried: readonly Member[] = NONE;
  /** It failed for the last time, where it might have been tried again. */
  retriesSpent = false;
  /** Wants the answer whole; null: it passes as it comes. */
  tap: ResponseTap | null = null;
  /** Inbound: the caller that an API key made known; '': none did. */
  consumer = '';
  /** Inbound: what is transformed of it; null: nothing. */
  transformed: Transformed | null = null;
  /** Inbound: what a cache does with it; null: nothing. */
  cached: CacheUse | null = null;
  /** Inbound: the request as policies saw it, where it was edited since; null: it was not. */
  judged: HeldRequest | null = null;
  requestId = '';
  /** The answer's headers, lower-case, those that telemetry asked for; null: none were kept. */
  answerLines: readonly (readonly [name: string, value: string])[] | null = null;
  /** Headers of an answer of our own, as lines `name: value\r\n`; '' where there is none. */
  ownAnswer = '';
  /** Value of `grpc-status` from the response's head or trailers; '' without one. */
  grpcStatus = '';
  /** The call is gRPC's: the engine counts its messages; null: it is not. */
  messages: GrpcMessages | null = null;
  /** Owned by telemetry/tracing; null when the call is not sampled. */
  trace: unknown = null;
  /** Owned by telemetry/log-reason: why it was refused, once that was asked; null before. */
  reason: unknown = null;

  constructor(
    downstream: Downstream,
    request: RequestView,
    stream: RequestStream,
    protocol: string,
  ) {
    this.downstream = downstream;
    this.request = request;
    this.stream = stream;
    this.protocol = protocol;
  }

  /** Envoy's response flags, in the order in which Envoy sets them: `-`, `UF`, `URX,UF`. */
  get flags(): string {
    const failed = this.failure === null ? '-' : this.failure.flag;
    if (!this.delayed && !this.retriesSpent) return failed;
    const all = [this.delayed ? 'DI' : '-', this.retriesSpent ? 'URX' : '-', failed];
    return all.filter((flag) => flag !== '-').join(',');
  }
}

/** What a listener does with the exchanges of its connections. Composed once per listener. */
export interface RequestPath {
  /** The head is complete. Sooner or later exactly one method of `exchange.stream` is called. */
  start(exchange: Exchange): void;
  /** The upstream's final response head is here and not yet written. May edit it. */
  respond(exchange: Exchange, response: ResponseView): void;
  /** Called once when all is over: answered, failed, or cut off. */
  finish(exchange: Exchange): void;
  /**
   * Something that is no request was answered (400, 408, 431), with `failure` set and the request
   * blank. Neither `start` nor `finish` is called for it.
   */
  unheard?(exchange: Exchange): void;
  /**
   * No answer came, and the request can be sent again: another pool to try, or null to answer with
   * the failure. Without this method the failure is answered.
   * @param untouched the upstream has certainly done nothing with it
   */
  retry?(exchange: Exchange, failure: Failure, untouched: boolean): UpstreamPool | null;
  /** The upstream's final response head is here: another pool to ask in its place, or null to pass it on. */
  retryAnswer?(exchange: Exchange, response: ResponseView): UpstreamPool | null;
  /**
   * The application gave no answer. May add a line to the one that the client gets, that says so.
   * @param untouched the application never got the request
   * @returns whether the client understands a refused stream (HTTP/2) in place of an answer
   */
  unanswered?(exchange: Exchange, untouched: boolean): boolean;
  /** @returns whether something else is answered in place of an upstream's failure */
  answerFailure?(exchange: Exchange, failure: Failure): boolean;
}
