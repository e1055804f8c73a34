// What a layer is that wants an answer whole.
import type { Remade } from './answer-taps.ts';
import type { Exchange, ResponseView } from './exchange.ts';
import type { FailureCode } from './failures.ts';

/** An answer's head that is held back. */
export interface HeldAnswer extends ResponseView {
  /** Every header line in order, names as sent. */
  lines(): readonly (readonly [name: string, value: string])[];
}

/** What came behind an answer's body. */
export interface AnswerTrailers {
  grpcStatus(): string;
  values(name: string): readonly string[];
}

/** A layer that wants the upstream's answer whole, before it goes on. */
export interface ResponseTap {
  /**
   * Not asked of answers without a body, but for 304.
   * @returns the most bytes of body that are wanted whole; 0: it passes as it comes; or the failure that is answered in
   * its place, or what answers in its place
   */
  begin(x: Exchange, head: ResponseView): number | FailureCode | (() => void);
  /** @returns the body that goes on, `head` may be edited; or another answer, without trailers */
  whole(
    x: Exchange,
    head: HeldAnswer,
    body: Buffer,
    trailers: AnswerTrailers | null,
  ): Buffer | Remade | Promise<Buffer | Remade>;
  /** There is more of it than was wanted. @returns what is answered in its place; undefined: it passes as it comes */
  tooLong(x: Exchange): FailureCode | undefined;
  /** `whole` threw. @returns what is answered; undefined: 500 */
  failed(x: Exchange, error: unknown): FailureCode | undefined;
}
