// Several layers that want an answer whole, and answers of our own that pass through all of them as the application's do.
import type { Exchange, HeldAnswer, ResponseTap, ResponseView } from './exchange.ts';
import { failures, type FailureCode } from './failures.ts';
import { refuse } from './request-path.ts';
import { addAskedHeaders, setServer } from './response-edits.ts';
import type { StoredHead } from './stored-head.ts';
import { transformResponse } from './transform/response.ts';

/** The layer that comes later on a request's way has the answer first. */
export function tapAnswer(x: Exchange, tap: ResponseTap): void {
  x.tap = x.tap === null ? tap : new TapPair(tap, x.tap);
}

/** Answers with a head and body from here, edited by the layers before this one. @param head is edited */
export async function answerThrough(x: Exchange, head: StoredHead, body: Buffer): Promise<void> {
  const answered = x.tap === null ? body : await pass(x, x.tap, head, body);
  if (typeof answered === 'string') {
    refuse(x, failures[answered]);
    return;
  }
  setServer(x, head);
  transformResponse(x, head);
  addAskedHeaders(x, head);
  x.stream.reply(head.status, head.text(), answered, false);
}

async function pass(
  x: Exchange,
  tap: ResponseTap,
  head: StoredHead,
  body: Buffer,
): Promise<Buffer | FailureCode> {
  const wanted = head.status === 304 ? 0 : tap.begin(x, head);
  if (typeof wanted === 'string') return wanted;
  if (typeof wanted === 'function' || wanted === 0) return body;
  if (body.length > wanted) return tap.tooLong(x) ?? body;
  try {
    return await tap.whole(x, head, body, null);
  } catch (error) {
    return tap.failed(x, error) ?? 'internal';
  }
}

/** Made for one exchange. */
class TapPair implements ResponseTap {
  readonly #first: ResponseTap;
  readonly #second: ResponseTap;
  #wantedFirst = 0;
  #wantedSecond = 0;
  #refusal: FailureCode | undefined;

  constructor(first: ResponseTap, second: ResponseTap) {
    this.#first = first;
    this.#second = second;
  }

  begin(x: Exchange, head: ResponseView): ReturnType<ResponseTap['begin']> {
    const first = this.#first.begin(x, head);
    if (typeof first !== 'number') return first;
    const second = this.#second.begin(x, head);
    if (typeof second !== 'number') return second;
    this.#wantedFirst = first;
    this.#wantedSecond = second;
    return Math.max(first, second);
  }

  async whole(
    x: Exchange,
    head: HeldAnswer,
    body: Buffer,
    trailers: { grpcStatus(): string } | null,
  ) {
    const made =
      this.#wantedFirst === 0
        ? body
        : await this.#one(this.#first, this.#wantedFirst, x, head, body, trailers);
    return this.#wantedSecond === 0
      ? made
      : this.#one(this.#second, this.#wantedSecond, x, head, made, trailers);
  }

  tooLong(x: Exchange): FailureCode | undefined {
    const first = this.#wantedFirst === 0 ? undefined : this.#first.tooLong(x);
    return first ?? (this.#wantedSecond === 0 ? undefined : this.#second.tooLong(x));
  }

  failed(x: Exchange, error: unknown): FailureCode | undefined {
    return this.#refusal ?? this.#first.failed(x, error) ?? this.#second.failed(x, error);
  }

  async #one(
    tap: ResponseTap,
    wanted: number,
    x: Exchange,
    head: HeldAnswer,
    body: Buffer,
    trailers: { grpcStatus(): string } | null,
  ): Promise<Buffer> {
    if (body.length <= wanted) return tap.whole(x, head, body, trailers);
    this.#refusal = tap.tooLong(x);
    if (this.#refusal !== undefined) throw new Error('the answer is longer than a layer wants it');
    return body;
  }
}
