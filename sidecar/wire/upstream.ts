// What an upstream connection and the downstream side of an exchange want of each other, whatever each speaks.
import type { RequestView, ResponseView } from '../exchange.ts';
import type { FailureCode } from '../failures.ts';

import type { FieldEncoder } from './lines.ts';
import type { Trailers } from './trailers.ts';

/** A request head that can go upstream by either protocol, its edits included. */
export interface RequestMessage extends RequestView {
  /** -1: not said. */
  readonly contentLength: number;
  /** `Expect: 100-continue`. */
  readonly expectsContinue: boolean;
  /** The body goes on as content, whatever framed it. @param bytes -1: its length is not known */
  reframe(bytes: number): void;
  /** Room that `writeHttp1` needs at most; -1: the edits cannot be sent. */
  http1BytesMax(): number;
  /** @returns the offset after it */
  writeHttp1(out: Buffer, offset: number): number;
  /** Room that `writeHttp2` needs at most; -1: the edits cannot be sent. */
  http2BytesMax(): number;
  /** Writes the fields without a frame around them. @returns the offset after them */
  writeHttp2(encoder: FieldEncoder, out: Buffer, offset: number): number;
}

/** A response head that can go downstream by either protocol, its edits included. */
export interface ResponseMessage extends ResponseView {
  /** -1: not said. */
  readonly contentLength: number;
  /** Framed by `Transfer-Encoding: chunked`. */
  readonly chunked: boolean;
  /** The body is another one, of a known length. */
  reframe(bytes: number): void;
  /** Cuts `Transfer-Encoding`, for a receiver that gets the content only. */
  unchunk(): void;
  /** The value of `grpc-status`, '' without one. */
  grpcStatus(): string;
  /** @param extra lines, each ended by CRLF; latin1 */
  http1BytesMax(extra: string): number;
  writeHttp1(out: Buffer, offset: number, extra: string): number;
  http2BytesMax(): number;
  writeHttp2(encoder: FieldEncoder, out: Buffer, offset: number): number;
}

/** The way to the upstream that a call was granted, for one exchange. */
export interface UpstreamStream {
  /** Chunked bodies are written as HTTP/1.1 frames them; false: content only. */
  readonly framed: boolean;
  /** What is written goes out; before, only the head may be written. */
  readonly connected: boolean;
  /** Content of the response body so far. */
  readonly bodyBytes: number;
  /** `grpc-status` in the response's trailers, or ''. */
  readonly trailerGrpcStatus: string;
  /**
   * Writes the head and what is there of the body.
   * @param last the request ends with it
   * @returns false: no more until `drained`; null: the head's edits cannot be sent, nothing was
   */
  sendHead(
    request: RequestMessage,
    buffer: Buffer,
    from: number,
    to: number,
    last: boolean,
  ): boolean | null;
  /** More of the body, or of what goes through a tunnel; the bytes must not change afterwards. */
  send(buffer: Buffer, from: number, to: number, last: boolean): boolean;
  /** Ends a body that came without framing, after all of it was sent. */
  sendTrailers(trailers: Trailers): void;
  /** The call takes bytes again. */
  resume(): void;
  /** The call wants no more of this exchange. */
  abort(): void;
  /** No more goes through the tunnel to the upstream. */
  endTunnel(): void;
  /** A tunnel has ended both ways. */
  finishTunnel(): void;
}

/**
 * One request on its way through a pool: the downstream engine implements it. Buffers are only good
 * during the call, they are read into again.
 */
export interface UpstreamCall {
  /** The request is HEAD, so the response has no body. */
  readonly isHead: boolean;
  /** The request asks for an upgrade: only then may the upstream answer 101. */
  readonly asksUpgrade: boolean;
  /** The request waits for 100 before its body, or ought to. */
  readonly expectsContinue: boolean;
  /** The whole request has been written. */
  readonly requestDone: boolean;
  /** Chunked bodies are wanted, and given, as framed; false: content only. */
  readonly framed: boolean;

  /** The stream is this call's: write the request. Comes again when the request is replayed. */
  granted(stream: UpstreamStream): void;
  /** The connection that was granted has opened, if it was not open then: more can be written. */
  opened(): void;
  /**
   * A connection that had served before went away without a byte of the response: may the request
   * be written again, to a new one?
   * @param untouched the upstream has said that it did nothing with it
   */
  mayReplay(untouched: boolean): boolean;
  /** 100 to 199 but 101. */
  interim(head: ResponseMessage): void;
  /**
   * The final head and what came of the body with it.
   * @param last the message is complete
   * @returns false: no more until `resume`
   */
  head(head: ResponseMessage, buffer: Buffer, from: number, to: number, last: boolean): boolean;
  body(buffer: Buffer, from: number, to: number, last: boolean): boolean;
  /** The message is complete, with trailers after a body that came as content. */
  trailers(trailers: Trailers): void;
  /** 101: from here on bytes come by `body`, never the last, until `tunnelEnded`. */
  upgraded(head: ResponseMessage, buffer: Buffer, from: number, to: number): boolean;
  /** The upstream has sent its last byte in a tunnel. */
  tunnelEnded(): void;
  /** The upstream's buffers are empty again after a write returned false. */
  drained(): void;
  /**
   * The exchange is over without a (whole) response. Called at most once, nothing after it.
   * @param id of the failure, where another sidecar has told it
   */
  failed(code: FailureCode, id?: string): void;
}
