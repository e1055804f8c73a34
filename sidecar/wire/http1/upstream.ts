// What an upstream connection and the downstream side of an exchange want of each other.
import type { FailureCode } from '../../failures.ts';

import type { UpstreamConnection } from './client.ts';
import type { ResponseHead } from './response-head.ts';

/**
 * One request on its way through a pool: the downstream engine implements it. Buffers are only good
 * during the call, they are read into again.
 */
export interface UpstreamCall {
  /** The request is HEAD, so the response has no body. */
  readonly isHead: boolean;
  /** The request asks for an upgrade: only then may the upstream answer 101. */
  readonly asksUpgrade: boolean;
  /** The whole request has been written. */
  readonly requestDone: boolean;
  /** Chunked bodies are wanted as framed; false: content only. */
  readonly takesChunks: boolean;

  /** The connection is this call's: write the request. Comes again when the request is replayed. */
  granted(connection: UpstreamConnection): void;
  /** The connection that was granted has opened, if it was not open then: more can be written. */
  opened(): void;
  /**
   * A connection that had served before went away without a byte of the response: may the request
   * be written again, to a new one?
   */
  mayReplay(): boolean;
  /** 100 to 199 but 101. */
  interim(head: ResponseHead): void;
  /**
   * The final head and what came of the body with it.
   * @param last the message is complete
   * @returns false: no more until `resume`
   */
  head(head: ResponseHead, buffer: Buffer, from: number, to: number, last: boolean): boolean;
  body(buffer: Buffer, from: number, to: number, last: boolean): boolean;
  /** 101: from here on bytes come by `body`, never the last, until `tunnelEnded`. */
  upgraded(head: ResponseHead, buffer: Buffer, from: number, to: number): boolean;
  /** The upstream has sent its last byte in a tunnel. */
  tunnelEnded(): void;
  /** The upstream's buffers are empty again after a write returned false. */
  drained(): void;
  /** The exchange is over without a (whole) response. Called at most once, nothing after it. */
  failed(code: FailureCode): void;
}
