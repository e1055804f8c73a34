// What callers are told of their limits: the header fields of the IETF's draft, or those of X-RateLimit, and Retry-After.
import type { Exchange } from '../exchange.ts';
import type { Failure } from '../failures.ts';
import type { CompiledLimit } from './compiled-limit.ts';

/** A limit that a request met, and what it left. Functions take the first `count` of a list that is kept. */
export interface Met {
  readonly limit: CompiledLimit;
  readonly admitted: boolean;
  readonly remaining: number;
  readonly resetMs: number;
  readonly retryMs: number;
}

export type HeaderLines = readonly (readonly [name: string, value: string])[];

const noLines: HeaderLines = [];

/** draft-ietf-httpapi-ratelimit-headers-11: lists of items in the syntax of structured fields (RFC 9651). */
export function limitHeaders(met: readonly Met[], count: number, refused = false): HeaderLines {
  let policy = '';
  let left = '';
  let tightest: Met | null = null;
  let least = 0;
  for (let i = 0; i < count; i++) {
    const one = met[i];
    if (one === undefined) continue;
    const { limit, resetMs, admitted } = one;
    // What a limit had for a request that another one refused is given back.
    const remaining = one.remaining + (refused && admitted ? 1 : 0);
    if (!limit.enforce || limit.style === 'none') continue;
    if (limit.style === 'x-ratelimit') {
      if (tightest === null || remaining < least) [tightest, least] = [one, remaining];
      continue;
    }
    const reset = limit.algorithm.windowSeconds === 0 ? '' : `;t=${seconds(resetMs)}`;
    const comma = policy === '' ? '' : ', ';
    policy += comma + limit.policyItem;
    left += `${comma}${limit.quoted};r=${remaining}${reset}`;
  }
  if (policy === '' && tightest === null) return noLines;
  const lines: (readonly [string, string])[] = [];
  if (policy !== '') lines.push(['ratelimit-policy', policy], ['ratelimit', left]);
  if (tightest !== null) {
    lines.push(
      ['x-ratelimit-limit', String(tightest.limit.algorithm.quota)],
      ['x-ratelimit-remaining', String(least)],
      ['x-ratelimit-reset', String(seconds(tightest.resetMs))],
    );
  }
  return lines;
}

/** Writes the refusal of the limit that lasts longest into the exchange. */
export function refusalOf(x: Exchange, met: readonly Met[], count: number): Failure | null {
  let worst: Met | null = null;
  for (let i = 0; i < count; i++) {
    const one = met[i];
    if (one === undefined || one.admitted || !one.limit.enforce) continue;
    if (worst === null || one.retryMs > worst.retryMs) worst = one;
  }
  if (worst === null) return null;
  const { limit, retryMs } = worst;
  for (const [name, value] of limitHeaders(met, count, true))
    x.replyHeaders += `${name}: ${value}\r\n`;
  x.replyHeaders += `retry-after: ${Math.max(1, seconds(retryMs))}\r\n`;
  x.details = limit.refusal.details;
  return limit.refusal;
}

function seconds(ms: number): number {
  return Math.ceil(ms / 1000);
}
