// One exchange between a downstream and an upstream, whatever each speaks: how it goes up, fails, and ends.
import type { BodyRead, UpstreamPool } from '../exchange.ts';
import { failures } from '../failures.ts';
import type { FailureCode } from '../failures.ts';
import { refuse } from '../request-path.ts';

import { BodyCollector, continueHead } from './body-collector.ts';
import { CallSides } from './call-sides.ts';
import { CollectingCall, finishedStream } from './collecting-call.ts';
import { Patience } from './patience.ts';
import type { ResponseMessage, UpstreamCall, UpstreamStream } from './upstream.ts';

/** What may be sent again without asking (RFC 9110 9.2.2). */
export const idempotent: ReadonlySet<string> = new Set(
  'GET HEAD OPTIONS TRACE PUT DELETE'.split(' '),
);
/** Nothing was sent. */
const connectFailures: readonly FailureCode[] = [
  'upstream-connect',
  'connect-timeout',
  'upstream-tls',
];
/** Nothing was done with what was sent: another endpoint may be tried, whatever is asked. */
const notProcessed: ReadonlySet<FailureCode> = new Set([...connectFailures, 'upstream-refused']);

/** Envoy's words, where an answer had begun. */
const beforeResponse = 'reset_before_response_started';
const afterResponse = 'reset_after_response_started';

const noBytes = Buffer.alloc(0);

export abstract class Call extends CallSides {
  private pool: UpstreamPool | null = null;
  /** What the pool was asked for: this call, or one that holds back its answer. */
  private asked: UpstreamCall = this;
  private patience: Patience | null = null;
  private replayed = false;
  private upstreamEnded = false;
  private downstreamEnded = false;

  // What layers call.

  forward(upstream: UpstreamPool): void {
    if (this.over || this.decided) return;
    this.decided = true;
    if (this.request.method === 'CONNECT') this.fail('upgrade-refused');
    else this.ask(upstream);
  }

  async readBody(bytesMax: number, waitMs = 0): Promise<BodyRead> {
    if (this.over || this.decided) return 'gone';
    if (this.content !== null) return this.readAgain(this.content, bytesMax);
    const collector = new BodyCollector(bytesMax, waitMs);
    this.collector = collector;
    this.upstream = collector;
    this.sendRequest(collector);
    this.startSending(true);
    if (this.expectsContinue && !this.requestDone) this.interim(continueHead());
    const how = await collector.settled;
    this.collector = null;
    if (this.over) return 'gone';
    this.detach();
    this.content = collector.content;
    this.contentTaken();
    this.request.reframe(how === 'whole' ? this.content.length : this.request.contentLength);
    return how === 'whole' ? this.content : how;
  }

  bodyStart(): Buffer {
    return this.content ?? noBytes;
  }

  /** What another layer has read. */
  private readAgain(content: Buffer, bytesMax: number): BodyRead {
    return this.requestDone && content.length <= bytesMax ? content : 'too-large';
  }

  replaceBody(body: Buffer): void {
    if (this.content === null || !this.requestDone) return;
    this.content = body;
    this.request.reframe(body.length);
  }

  limitTime(totalMs: number, perTryMs: number): void {
    if (this.over) return;
    this.patience ??= new Patience(
      () => this.fail('upstream-timeout'),
      () => this.tryTimedOut(),
    );
    this.patience.begin(totalMs, perTryMs, () => this.requestDone);
  }

  cutOff(): void {
    if (this.over) return;
    if (!this.headSent) {
      this.fail('draining');
      return;
    }
    this.exchange.failure = failures.draining;
    this.upstream?.abort();
    this.breakOff();
    this.finish(false);
  }

  // What the pool and the upstream connection call.

  granted(upstream: UpstreamStream): void {
    if (this.over) {
      upstream.abort();
      return;
    }
    this.upstream = upstream;
    const x = this.exchange;
    x.attempts++;
    x.forwardedAtMs = performance.now();
    const more = this.content === null ? this.sendRequest(upstream) : this.sendContent(upstream);
    if (more === null) this.fail('internal');
    else if (upstream.connected) this.startSending(more);
  }

  opened(): void {
    if (!this.over) this.startSending(true);
  }

  mayReplay(untouched: boolean): boolean {
    if (this.over || this.bodySent || this.headSent || this.replayed) return false;
    // Where else an untouched request may go is the path's to say, if it does.
    if (untouched && this.path.retry !== undefined) return false;
    if (!untouched && !idempotent.has(this.request.method)) return false;
    this.replayed = true;
    this.detach();
    return true;
  }

  tunnelEnded(): void {
    this.upstreamEnded = true;
    if (!this.over) this.endDownstream();
    if (this.downstreamEnded) this.finishTunnel();
  }

  failed(code: FailureCode, id = ''): void {
    this.upstream = null;
    if (id !== '') this.exchange.id = id;
    if (this.tunnelled && this.upstreamEnded) this.finishTunnel();
    else this.fail(code);
  }

  // What the downstream connection calls.

  /** The client takes bytes again. */
  resume(): void {
    this.upstream?.resume();
  }

  /** The client will send no more through the tunnel. */
  downstreamEnd(): void {
    this.downstreamEnded = true;
    this.upstream?.endTunnel();
    if (this.upstreamEnded) this.finishTunnel();
  }

  /** Ends the exchange with a failure: an answer if none has begun, else it breaks off. */
  fail(code: FailureCode): void {
    if (this.over) return;
    const x = this.exchange;
    const { upstream, pool: before, asked } = this;
    this.upstream = null;
    upstream?.abort();
    const failure = failures[code];
    if (!this.decided || this.layerWaits) this.abandon();
    if (this.headSent || failure.status === 0) {
      x.failure = failure;
      if (x.details === '') x.details = failure.details;
      if (this.headSent) x.details = x.details.replace(beforeResponse, afterResponse);
      this.breakOff();
      this.finish(false);
      return;
    }
    this.detach();
    const untouched = notProcessed.has(code);
    const reset = code === 'upstream-reset' || code === 'upstream-stream-reset';
    const again = !this.bodySent && this.patience?.spent !== true;
    const next = again ? (this.path.retry?.(x, failure, untouched) ?? null) : null;
    if (next !== null) {
      // Where it still waits for a way up, it must not be given one beside the next.
      if (upstream === null) before?.cancel(asked);
      this.ask(next);
      return;
    }
    this.decided = false;
    if (this.path.answerFailure?.(x, failure) === true) return;
    const refused = (untouched || reset) && this.path.unanswered?.(x, untouched) === true;
    if (!refused || !this.refuseStream(code)) refuse(x, failure);
  }

  /**
   * An answer that the path would rather have of another: this one is let go.
   * @param last all of it is here
   */
  protected retriesAnswer(head: ResponseMessage, last: boolean): boolean {
    if (this.path.retryAnswer === undefined || this.bodySent) return false;
    const next = this.path.retryAnswer(this.exchange, head);
    if (next === null) return false;
    const { upstream } = this;
    this.detach();
    if (!last) upstream?.abort();
    this.ask(next);
    return true;
  }

  /** Whether what an upstream says to `call` still counts: there may have been another try since. */
  listensTo(call: UpstreamCall): boolean {
    return !this.over && this.asked === call;
  }

  /** The upstream's answer is let go for another. @param last all of it is here */
  answerInstead(answer: () => void, last: boolean): void {
    if (this.over) return;
    const { upstream } = this;
    this.detach();
    if (!last) upstream?.abort();
    this.decided = false;
    answer();
  }

  /** The answer was taken whole, and its connection may serve another: it comes from here now. */
  answerHeld(bytes: number): void {
    if (!this.over) this.upstream = finishedStream(bytes);
  }

  /** Notes the response's head and lets the layers edit it. @returns whether it has a body */
  protected respond(head: ResponseMessage): boolean {
    const x = this.exchange;
    this.patience?.answered();
    x.respondedAtMs = performance.now();
    x.status = head.status;
    this.path.respond(x, head);
    x.grpcStatus = head.grpcStatus();
    return !this.isHead && head.status !== 204 && head.status !== 304;
  }

  protected finish(keep: boolean): void {
    if (this.over) return;
    this.over = true;
    const { upstream } = this;
    this.upstream = null;
    const x = this.exchange;
    if (upstream !== null && !this.tunnelled) {
      x.responseBodyBytes = upstream.bodyBytes;
      if (x.grpcStatus === '') x.grpcStatus = upstream.trailerGrpcStatus;
    } else if (upstream === null) this.pool?.cancel(this.asked);
    this.patience?.end();
    if (!this.tunnelled && this.request.method !== 'CONNECT') {
      x.requestBodyBytes = this.requestBodyBytes;
    }
    x.finishedAtMs = performance.now();
    if (this.unheard) this.path.unheard?.(x);
    else this.path.finish(x);
    this.release(keep);
  }

  /** Tells the client that nothing was done with it. @returns false: there is no word for that but an answer */
  protected refuseStream(_code: FailureCode): boolean {
    return false;
  }

  /** Until the next grant, what comes of the body waits: there is nobody to give it to. */
  private detach(): void {
    this.upstream = null;
    this.sending = false;
  }

  private ask(upstream: UpstreamPool): void {
    const { tap } = this.exchange;
    this.pool = upstream;
    this.exchange.upstreamAddress = upstream.address;
    this.asked = tap === null || this.request.upgrade !== '' ? this : new CollectingCall(this, tap);
    this.patience?.tries(upstream.delayMs ?? 0);
    upstream.request(this.asked);
  }

  private sendContent(upstream: UpstreamStream): boolean | null {
    const { content, request } = this;
    if (content === null) return null;
    return upstream.sendHead(request, content, 0, content.length, this.contentEnds());
  }

  private tryTimedOut(): void {
    if (this.over || this.headSent) return;
    this.exchange.details = 'upstream_per_try_timeout';
    this.fail('upstream-timeout');
  }

  private finishTunnel(): void {
    const { upstream } = this;
    this.upstream = null;
    upstream?.finishTunnel();
    this.finish(false);
  }
}
