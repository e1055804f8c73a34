// The inbound layer that answers from what is kept. It comes after authorization, so that who gets a hit may have it.
import { createHash } from 'node:crypto';

import { answerThrough, tapAnswer } from '../answer-taps.ts';
import type { Exchange, ResponseView } from '../exchange.ts';
import type { HeldAnswer, ResponseTap } from '../response-tap.ts';
import { failures, type Failure, type FailureCode } from '../failures.ts';
import { ENDED, PASS, refuse, type Outcome } from '../request-path.ts';
import { lowerLines, StoredHead } from '../stored-head.ts';
import type { Directives } from './cache-control.ts';
import type { Caches, CacheRule } from './compile.ts';
import { ageMs, askedOf, graceOf, isUnchanged, lifeOf, storeFault, useOf } from './freshness.ts';
import type { Entry } from './store.ts';

/** What a cache does with one exchange. */
export interface CacheUse {
  readonly rule: CacheRule;
  readonly target: string;
  /** Who calls, where the rule tells callers apart; else whether it is somebody in particular. */
  readonly caller: string;
  readonly asked: Directives;
  /** `fwd=…` of Cache-Status (RFC 9211). */
  readonly why: string;
  /** What is asked for again; null: nothing is kept of it. */
  readonly stale: Entry | null;
  /** Is answered where the application fails; null: its failure is. */
  readonly fallback: Entry | null;
  readonly ifNoneMatch: readonly string[];
  readonly ifModifiedSince: readonly string[];
  readonly askedAtMs: number;
  stored: boolean;
}

/** What says who calls, beside the certificate. */
const credentials = ['authorization', 'proxy-authorization', 'cookie', 'x-api-key', 'apikey'];
/** Their answers are of another kind, or of a part: they pass by. */
const bypassing = ['range', 'if-match', 'if-unmodified-since', 'if-range'];
/** What a 304 says anew (RFC 9111 section 3.2). */
const refreshed = [
  'cache-control',
  'date',
  'expires',
  'age',
  'etag',
  'last-modified',
  'content-location',
];
/** RFC 5861 section 4: what of the application counts as an error; and what is none of its answers. */
const errorStatuses: ReadonlySet<number> = new Set([500, 502, 503, 504]);
const errors: ReadonlySet<FailureCode> = new Set<FailureCode>([
  'upstream-connect',
  'upstream-tls',
  'connect-timeout',
  'upstream-timeout',
  'upstream-reset',
  'upstream-stream-reset',
  'upstream-refused',
  'upstream-malformed',
]);
/** While a stale answer is given to all others, one call in this time asks for it anew. */
const askAgainMs = 5_000;
const safe: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE']);

/** Costs a look where nothing is cached. */
export function cacheLayer(x: Exchange): Outcome | Promise<Outcome> {
  const caches = x.enforced?.caches ?? null;
  return caches === null ? PASS : look(x, caches);
}

function look(x: Exchange, { rules }: Caches): Outcome | Promise<Outcome> {
  const { request } = x;
  const rule = rules.find(({ matches }) => matches?.(x.downstream.facts, request) ?? true);
  if (rule === undefined) return PASS;
  const use = (why: string): CacheUse => ({
    rule,
    target: targetOf(x, request.path),
    caller: rule.identity ? callerOf(x) : hasCredentials(x) ? 'somebody' : '',
    asked: askedOf(request),
    why,
    stale: null,
    fallback: null,
    ifNoneMatch: request.values('if-none-match'),
    ifModifiedSince: request.values('if-modified-since'),
    askedAtMs: Date.now(),
    stored: false,
  });
  const isRead = request.method === 'GET' || request.method === 'HEAD';
  if (!isRead || request.hasBody || request.upgrade !== '') {
    x.cached = use('method');
    return PASS;
  }
  if (bypassing.some((name) => request.values(name).length > 0)) {
    x.cached = use('bypass');
    return PASS;
  }
  return answerOrAsk(x, use('uri-miss'));
}

function answerOrAsk(x: Exchange, first: CacheUse): Outcome | Promise<Outcome> {
  const { rule, target, asked, askedAtMs: nowMs } = first;
  const found = asked.has('no-store') ? null : rule.store.find(target, variantsOf(x, first));
  const entry = found === 'vary' ? null : found;
  const verdict = entry === null ? null : useOf(entry.life, asked, nowMs);
  const grace = entry === null || verdict !== 'stale' ? null : graceOf(entry.life, asked, nowMs);
  const given = (one: Entry): boolean =>
    verdict === 'fresh' || (grace?.whileAsked === true && isAskedFor(one, nowMs));
  if (entry !== null && given(entry)) {
    x.details = 'response_from_cache';
    return answerFrom(x, first, entry, 'hit').then(() => ENDED);
  }
  if (asked.has('only-if-cached')) return failures['not-cached'];
  const why = asked.has('no-store')
    ? 'bypass'
    : (verdict ?? (found === 'vary' ? 'vary-miss' : 'uri-miss'));
  const stale = entry !== null && isValidated(entry.head) ? entry : null;
  const fallback = grace?.ifError === true ? entry : null;
  x.cached = { ...first, why, stale, fallback };
  if (why === 'bypass') return PASS;
  if (stale !== null) askAgain(x, stale);
  tapAnswer(x, cacheTap);
  return PASS;
}

/** Whether another call has been sent on for it; if not, this one is. One that fails is not followed at once. */
function isAskedFor(entry: Entry, nowMs: number): boolean {
  if (nowMs - entry.askedAtMs < askAgainMs) return true;
  entry.askedAtMs = nowMs;
  return false;
}

/** The application says whether what is kept still holds; what the client has is compared with it afterwards. */
function askAgain({ request }: Exchange, { head }: Entry): void {
  request.remove('if-none-match');
  request.remove('if-modified-since');
  const [tag] = head.values('etag');
  const [date] = head.values('last-modified');
  if (tag !== undefined) request.append('if-none-match', tag);
  if (date !== undefined) request.append('if-modified-since', date);
}

const cacheTap: ResponseTap = {
  begin(x, head) {
    const { cached } = x;
    if (cached === null) return 0;
    const { stale, rule, asked } = cached;
    if (head.status === 304) return stale === null ? 0 : refresh(x, cached, stale, head);
    if (errorStatuses.has(head.status) && cached.fallback !== null) {
      const { fallback } = cached;
      return () => answerStale(x, cached, fallback, `;fwd-status=${head.status}`);
    }
    if (x.request.method !== 'GET') return 0;
    const known = !rule.identity && hasCredentials(x);
    return storeFault(head.status, asked, head, known) === null ? rule.bodyBytesMax : 0;
  },
  whole(x, head, body, trailers) {
    if (x.cached !== null && trailers === null) keep(x, x.cached, head, body);
    return body;
  },
  tooLong: () => undefined,
  failed: () => undefined,
};

/** Of failures without an answer: what is kept is given in their place. @returns false: nothing is */
export function answerFailure(x: Exchange, { code }: Failure): boolean {
  const { cached } = x;
  if (cached === null || cached.fallback === null || !errors.has(code)) return false;
  answerStale(x, cached, cached.fallback, '');
  return true;
}

function answerStale(x: Exchange, use: CacheUse, entry: Entry, status: string): void {
  x.details = 'response_from_cache';
  answerFrom(x, use, entry, `fwd=${use.why}${status}`).catch(() => refuse(x, failures.internal));
}

function keep(x: Exchange, use: CacheUse, head: HeldAnswer, body: Buffer): void {
  const nowMs = Date.now();
  const life = lifeOf(head, nowMs, nowMs - use.askedAtMs, use.rule.defaultTtlMs);
  const lines = lowerLines(head);
  const stored = new StoredHead(head.status, lines);
  if (stored.values('date').length === 0) stored.append('date', new Date(nowMs).toUTCString());
  if (life.lifetimeMs <= 0 && !isValidated(stored)) return;
  // A buffer of its own: a piece of a shared one would keep all of it.
  const copy = Buffer.allocUnsafeSlow(body.length);
  body.copy(copy);
  use.stored = put(x, use, { head: stored, body: copy, life, askedAtMs: 0 });
}

/** What is kept still holds: it is as good as new, and the answer. */
function refresh(x: Exchange, use: CacheUse, stale: Entry, fresh: ResponseView): () => void {
  const nowMs = Date.now();
  const head = stale.head.copy();
  for (const name of refreshed) {
    const values = fresh.values(name);
    if (values.length > 0 || name === 'age') head.remove(name);
    for (const value of values) head.append(name, value);
  }
  const life = lifeOf(head, nowMs, nowMs - use.askedAtMs, use.rule.defaultTtlMs);
  const entry = { head, body: stale.body, life, askedAtMs: 0 };
  const known = !use.rule.identity && hasCredentials(x);
  use.stored = storeFault(head.status, use.asked, head, known) === null && put(x, use, entry);
  x.details = 'response_from_cache';
  const status = `fwd=${use.why};fwd-status=304${use.stored ? ';stored' : ''}`;
  return () => {
    answerFrom(x, use, entry, status).catch(() => refuse(x, failures.internal));
  };
}

function put(x: Exchange, use: CacheUse, entry: Entry): boolean {
  const vary = entry.head.values('vary').join(',').toLowerCase();
  const names = [...new Set(vary.split(',').map((name) => name.trim()))].filter(
    (name) => name !== '',
  );
  return use.rule.store.put(use.target, names.toSorted(), variantsOf(x, use), entry);
}

async function answerFrom(x: Exchange, use: CacheUse, entry: Entry, status: string): Promise<void> {
  const unchanged = isUnchanged(use.ifNoneMatch, use.ifModifiedSince, entry.head);
  const head = entry.head.copy(unchanged && entry.head.status === 200 ? 304 : entry.head.status);
  const oldMs = ageMs(entry.life, Date.now());
  const leftSeconds = Math.ceil((entry.life.lifetimeMs - oldMs) / 1000);
  head.remove('age');
  head.append('age', String(Math.floor(oldMs / 1000)));
  head.append('cache-status', `selvage;${status};ttl=${leftSeconds}`);
  // Its cache status is said.
  x.cached = null;
  await answerThrough(x, head, entry.body);
}

/** Of the response layers: what the cache did, and what a change of the target makes of what is kept. */
export function cacheResponse(x: Exchange, response: ResponseView): void {
  const { cached } = x;
  if (cached === null) return;
  const { rule, target, why, stored } = cached;
  if (!safe.has(x.request.method) && response.status >= 200 && response.status < 400) {
    rule.store.remove(target);
    for (const name of ['location', 'content-location']) {
      const [place] = response.values(name);
      const other = place === undefined ? null : placeOf(x, place);
      if (other !== null) rule.store.remove(other);
    }
  }
  response.append('cache-status', `selvage;fwd=${why}${stored ? ';stored' : ''}`);
}

/** Of one port: another one is another server, whatever `Host` says, and other policies hold there. */
function targetOf({ downstream, request }: Exchange, path: string): string {
  return `${downstream.facts.destinationPort} ${request.authority.toLowerCase()} ${path}`;
}

/** Of the same host only: nobody may clear another's. */
function placeOf(x: Exchange, place: string): string | null {
  const { authority, path } = x.request;
  const base = URL.parse(`http://${authority}${path}`);
  const url = base === null ? null : URL.parse(place, base.href);
  if (url === null || base === null || url.host !== base.host) return null;
  return targetOf(x, url.pathname + url.search);
}

function variantsOf(x: Exchange, { caller }: CacheUse): (vary: readonly string[]) => string {
  return (vary) =>
    JSON.stringify([
      caller,
      ...vary.map((name) => x.request.values(name).map((one) => one.trim())),
    ]);
}

/** A hash, so that the cache keeps no credentials. */
function callerOf({ downstream, request, consumer }: Exchange): string {
  const { token } = request;
  const parts = [
    downstream.facts.identities,
    consumer,
    token === null ? null : [token.issuer, token.subject, token.payload],
    ...credentials.map((name) => request.values(name)),
  ];
  return createHash('sha256').update(JSON.stringify(parts)).digest('base64');
}

/** The header of an API key may be hidden by now; who it belongs to is not. */
function hasCredentials({ request, consumer }: Exchange): boolean {
  return (
    consumer !== '' ||
    request.token !== null ||
    credentials.some((name) => request.values(name).length > 0)
  );
}

function isValidated(head: StoredHead): boolean {
  return head.values('etag').length + head.values('last-modified').length > 0;
}
