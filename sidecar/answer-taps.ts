// Several layers that want an answer whole, and answers of our own that pass through all of them as the application's do.
import type { Exchange, ResponseView } from './exchange.ts';
import type { AnswerTrailers, HeldAnswer, ResponseTap } from './response-tap.ts';
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
  if (Buffer.isBuffer(answered)) send(x, head, answered);
  else answered.answer(x);
}

/** An answer that a layer has made of another one. */
export class Remade {
  readonly head: StoredHead;
  readonly body: Buffer;

  constructor(head: StoredHead, body: Buffer) {
    this.head = head;
    this.body = body;
  }

  answer(x: Exchange): void {
    send(x, this.head, this.body);
  }
}

function send(x: Exchange, head: StoredHead, body: Buffer): void {
  setServer(x, head);
  transformResponse(x, head);
  addAskedHeaders(x, head);
  x.ownAnswer = head.text();
  x.stream.reply(head.status, x.ownAnswer, body, false);
}

async function pass(
  x: Exchange,
  tap: ResponseTap,
  head: StoredHead,
  body: Buffer,
): Promise<Buffer | Remade | FailureCode> {
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

  async whole(x: Exchange, head: HeldAnswer, body: Buffer, trailers: AnswerTrailers | null) {
    const made =
      this.#wantedFirst === 0
        ? body
        : await this.#one(this.#first, this.#wantedFirst, x, head, body, trailers);
    if (made instanceof Remade) return this.#again(x, made);
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

  /** What the second layer was asked before was of another answer. */
  async #again(x: Exchange, { head, body }: Remade): Promise<Remade> {
    const wanted = this.#second.begin(x, head);
    if (typeof wanted === 'function' || wanted === 0) return new Remade(head, body);
    if (typeof wanted === 'string') {
      this.#refusal = wanted;
      throw new Error('a layer refuses the answer');
    }
    const made = await this.#one(this.#second, wanted, x, head, body, null);
    return Buffer.isBuffer(made) ? new Remade(head, made) : made;
  }

  async #one(
    tap: ResponseTap,
    wanted: number,
    x: Exchange,
    head: HeldAnswer,
    body: Buffer,
    trailers: AnswerTrailers | null,
  ): Promise<Buffer | Remade> {
    if (body.length <= wanted) return tap.whole(x, head, body, trailers);
    this.#refusal = tap.tooLong(x);
    if (this.#refusal !== undefined) throw new Error('the answer is longer than a layer wants it');
    return body;
  }
}
