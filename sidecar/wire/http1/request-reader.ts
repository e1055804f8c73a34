// Reads requests off a connection, one after another: heads, bodies, what goes through a tunnel, what is dropped.
import type { Socket } from 'node:net';

import type { Downstream, RequestPath } from '../../exchange.ts';
import type { FailureCode } from '../../failures.ts';
import { deadlineIn } from '../sweep.ts';

import { BodyCursor } from './body.ts';
import { Discard } from './discard.ts';
import { Input } from './input.ts';
import type { Consumer } from './input.ts';
import { RequestHead } from './request-head.ts';
import type { ConnectionHost } from './server.ts';
import { SocketEvents } from './socket-events.ts';
import type { Turn } from './turn.ts';

export abstract class RequestReader extends SocketEvents implements Consumer {
  readonly downstream: Downstream;
  readonly path: RequestPath;
  readonly request: RequestHead;
  readonly requestBody: BodyCursor;
  readonly input: Input;
  deadlineMs: number;
  /** End of the body bytes that came with the head, in `request.buffer`. */
  firstEnd = 0;
  /** The client is to speak HTTP/2: an answer in HTTP/1.1 to what is neither would only confuse it. */
  wantsHttp2 = false;
  /** The upstream's buffers are full. */
  upstreamFull = false;

  protected readonly host: ConnectionHost;
  protected readonly scheme: string;
  protected turn: Turn | null = null;
  protected requests = 0;
  protected closing = false;
  /** Nothing is served any more: what comes is dropped until the peer ends too. */
  protected lingering = false;
  /** The rest of a request body that nobody wants. */
  protected dropping = false;
  protected readonly discard: Discard;
  private startedAtMs = 0;

  /** Content of a chunked body; several of its chunks may come in one read. */
  private readonly onContent = (buffer: Buffer, from: number, to: number): void => {
    if (to > from) this.turn?.send(buffer, from, to, false);
  };

  constructor(host: ConnectionHost, socket: Socket, downstream: Downstream) {
    super(socket);
    this.host = host;
    this.path = host.path;
    this.downstream = downstream;
    this.input = new Input(socket, this);
    this.request = new RequestHead(host.limits);
    this.requestBody = new BodyCursor(host.limits);
    this.discard = new Discard(host.limits.drainBytesMax);
    this.scheme = 'encrypted' in socket ? 'https' : 'http';
    this.deadlineMs = deadlineIn(host.limits.idleTimeoutMs);
  }

  protected abstract newTurn(startedAtMs: number): Turn;
  /** What is no request line of ours may be the first bytes of HTTP/2: somebody else reads on. */
  protected abstract becomesHttp2(): boolean;
  /** Ends our side, once what was written is out. */
  protected abstract linger(): void;

  /** A byte moved. */
  progressed(): void {
    this.deadlineMs = deadlineIn(this.host.limits.streamIdleTimeoutMs);
  }

  // What its input calls.

  step(): boolean {
    if (this.lingering) return this.dropInput();
    if (this.dropping) return this.dropBody();
    const { turn } = this;
    if (turn === null) return !this.socket.writableNeedDrain && this.readHead();
    if (turn.tunnelled) {
      this.progressed();
      const { buffer, from, to } = this.input;
      this.input.from = to;
      turn.send(buffer!, from, to, false);
      return true;
    }
    return turn.sending && !this.requestBody.done && this.readBody(turn);
  }

  wantsMore(): boolean {
    return this.lingering || !this.upstreamFull;
  }

  private readHead(): boolean {
    const { request, requestBody, input } = this;
    const { headTimeoutMs, bodyBytesMax } = this.host.limits;
    const begun = request.begun;
    if (!begun) this.startedAtMs = performance.now();
    const state = request.feed(input.buffer!, input.from, input.to);
    if (state === 'more') {
      input.from = input.to;
      if (!begun) this.deadlineMs = deadlineIn(headTimeoutMs);
      return true;
    }
    if (state === 'malformed' && this.requests === 0 && this.becomesHttp2()) return true;
    if (state !== 'done') return this.refuseHead(state === 'malformed' ? state : 'head-too-large');
    requestBody.begin(request.chunked, Math.max(0, request.contentLength));
    const { end, limit } = request;
    const first = requestBody.done ? end : requestBody.take(request.buffer, end, limit);
    if (first < 0) return this.refuseHead('malformed');
    input.buffer = request.buffer;
    input.from = this.firstEnd = first;
    input.to = limit;
    this.requests++;
    this.progressed();
    request.scheme = this.scheme;
    const turn = (this.turn = this.newTurn(this.startedAtMs));
    if (bodyBytesMax > 0 && Math.max(request.contentLength, requestBody.bytes) > bodyBytesMax) {
      turn.fail('body-too-large');
    } else this.path.start(turn.exchange);
    return true;
  }

  private readBody(turn: Turn): boolean {
    const { input, requestBody } = this;
    const { bodyBytesMax } = this.host.limits;
    this.progressed();
    const { buffer, from } = input;
    const { unchunks } = turn;
    const end = requestBody.take(buffer!, from, input.to, unchunks ? this.onContent : null);
    if (end < 0) {
      this.closing = true;
      turn.fail('malformed');
      return true;
    }
    input.from = end;
    if (bodyBytesMax > 0 && requestBody.bytes > bodyBytesMax) turn.fail('body-too-large');
    else if (!unchunks) turn.send(buffer!, from, end, requestBody.done);
    else if (requestBody.done) turn.sendEnd();
    return true;
  }

  private dropBody(): boolean {
    const { input, requestBody } = this;
    if (!this.discard.body(input, requestBody)) {
      this.linger();
      return true;
    }
    this.dropping = !requestBody.done;
    if (requestBody.done && this.closing) this.linger();
    else if (requestBody.done) this.deadlineMs = deadlineIn(this.host.limits.idleTimeoutMs);
    return true;
  }

  private dropInput(): boolean {
    if (!this.discard.all(this.input)) this.socket.destroySoon();
    return true;
  }

  /** Answers a head that is no request; layers never see it. */
  protected refuseHead(code: FailureCode): boolean {
    if (this.wantsHttp2 && this.requests === 0) {
      this.lingering = true;
      this.socket.destroy();
      return true;
    }
    this.closing = true;
    this.request.blank();
    this.requestBody.begin(false, 0);
    this.turn = this.newTurn(this.startedAtMs);
    this.turn.unheard = true;
    this.turn.fail(code);
    return true;
  }
}
