// Tokens of one TokenExchange: asked for once, kept until shortly before their end, the unused longest forgotten first.
import { hash } from 'node:crypto';

import type { HttpClient } from '../upstream/http-client.ts';
import { endOf, proofOf } from './client-proof.ts';
import type { CompiledExchange } from './exchanges.ts';
import { ExchangeError, readAnswer, tokenForm } from './token-request.ts';

const answerBytesMax = 256 * 1024;
/** Exchanges under way at once; of more, the endpoint would only be slower. */
const pendingMax = 1000;

interface Kept {
  readonly token: string;
  readonly untilMs: number;
}

export class Exchanger {
  readonly exchange: CompiledExchange;
  readonly #client: HttpClient;
  readonly #now: () => number;
  /** By the hash of the token that was given, the one used last at the end: no foreign token is kept. */
  readonly #kept = new Map<string, Kept>();
  readonly #pending = new Map<string, Promise<string>>();

  constructor(exchange: CompiledExchange, client: HttpClient, now: () => number = Date.now) {
    this.exchange = exchange;
    this.#client = client;
    this.#now = now;
  }

  get size(): number {
    return this.#kept.size;
  }

  /** The new token, at once where it is known; else rejects with ExchangeError when there is none. */
  tokenFor(subject: string): string | Promise<string> {
    const key = hash('sha256', subject, 'base64');
    const known = this.#kept.get(key);
    if (known !== undefined) {
      this.#kept.delete(key);
      if (known.untilMs > this.#now()) {
        this.#kept.set(key, known);
        return known.token;
      }
    }
    const pending = this.#pending.get(key);
    if (pending !== undefined) return pending;
    if (this.#pending.size >= pendingMax) {
      return Promise.reject(new ExchangeError('failed', 'too many exchanges are under way'));
    }
    const asked = this.#ask(key, subject).finally(() => this.#pending.delete(key));
    this.#pending.set(key, asked);
    return asked;
  }

  async #ask(key: string, subject: string): Promise<string> {
    const { spec, timeoutMs, skewMs } = this.exchange;
    const url = new URL(spec.tokenEndpoint);
    const { headers, body } = tokenForm(spec, subject, await this.#proof());
    const askedAtMs = this.#now();
    const answer = await this.#client({
      origin: url.origin,
      path: url.pathname + url.search,
      method: 'POST',
      headers,
      body,
      timeoutMs,
      answerBytesMax,
    }).catch((error: unknown) => {
      const late = error instanceof Error && error.name === 'TimeoutError';
      const said = late ? `no answer within ${timeoutMs} ms` : 'the endpoint cannot be reached';
      throw new ExchangeError('failed', said);
    });
    const { token, expiresIn } = readAnswer(answer);
    const own = expiresIn > 0 ? askedAtMs + expiresIn * 1000 : await endOf(token);
    // Whoever may not call any more with the old token may not with the new one.
    const untilMs = Math.min(own, await endOf(subject)) - skewMs;
    if (Number.isFinite(own) && untilMs > this.#now()) this.#keep(key, { token, untilMs });
    return token;
  }

  async #proof(): Promise<string> {
    try {
      return await proofOf(this.exchange.spec);
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      throw new ExchangeError('failed', `the client has no credentials: ${why}`);
    }
  }

  #keep(key: string, kept: Kept): void {
    const { maxTokens } = this.exchange.spec.cache;
    if (maxTokens === 0) return;
    this.#kept.set(key, kept);
    if (this.#kept.size <= maxTokens) return;
    for (const oldest of this.#kept.keys()) {
      this.#kept.delete(oldest);
      return;
    }
  }
}
