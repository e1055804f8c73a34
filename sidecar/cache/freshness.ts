// The judgements of a shared cache, pure: what may be kept, for how long, and what may be given again (RFC 9111).
import { readDirectives, secondsOf, type Directives } from './cache-control.ts';

interface Head {
  values(name: string): readonly string[];
}

/** What is known of an answer's age and life. Times by one clock. */
export interface Life {
  /** When the answer came. */
  readonly storedAtMs: number;
  /** How old it was then. */
  readonly initialAgeMs: number;
  readonly lifetimeMs: number;
  /** No-cache: each use asks the application first. */
  readonly alwaysAsks: boolean;
  /** Stale it may not be given, whatever the client takes. */
  readonly strict: boolean;
  /** For so long after its life it may be given while it is asked for anew, and where that fails (RFC 5861). */
  readonly whileAskedMs: number;
  readonly ifErrorMs: number;
}

/** However long the application allows it. */
const graceMsMax = 24 * 3_600_000;
/** Section 5.2.2: with these a stale answer is given to nobody. */
const strictDirectives = ['must-revalidate', 'proxy-revalidate', 's-maxage'];
const fresherDirectives = ['no-cache', 'max-age', 'min-fresh'];
const noGrace = { whileAsked: false, ifError: false };

export type Use = 'fresh' | 'stale' | 'request';

const keptStatuses: ReadonlySet<number> = new Set([
  200, 203, 300, 301, 308, 404, 405, 410, 414, 501,
]);

/** Why nothing of an exchange is kept; null: it may be. @param credentials the request had some, and the key does not say whose */
export function storeFault(
  status: number,
  asked: Directives,
  head: Head,
  credentials: boolean,
): string | null {
  const said = readDirectives(head.values('cache-control'));
  if (!keptStatuses.has(status)) return 'status';
  if (asked.has('no-store') || said.has('no-store')) return 'no-store';
  if (said.has('private')) return 'private';
  if (head.values('vary').some((value) => value.includes('*'))) return 'vary';
  if (head.values('set-cookie').length > 0) return 'set-cookie';
  if (head.values('content-range').length > 0) return 'partial';
  // Section 3.5; a cookie is as good a credential.
  const shared = said.has('public') || said.has('s-maxage') || said.has('must-revalidate');
  return credentials && !shared ? 'credentials' : null;
}

/** Section 4.2. @param delayMs from the request to the answer */
export function lifeOf(head: Head, nowMs: number, delayMs: number, defaultTtlMs: number): Life {
  const said = readDirectives(head.values('cache-control'));
  const dateMs = dateOf(head.values('date')) ?? nowMs;
  const alwaysAsks = said.has('no-cache');
  const strict = strictDirectives.some((name) => said.has(name));
  const graceMs = (name: string): number =>
    alwaysAsks || strict ? 0 : Math.min((secondsOf(said, name) ?? 0) * 1000, graceMsMax);
  const [age = '0'] = head.values('age');
  const ageMs = /^\d+$/.test(age.trim()) ? Math.min(Number(age), 2 ** 31) * 1000 : 0;
  return {
    storedAtMs: nowMs,
    initialAgeMs: Math.max(0, nowMs - dateMs, ageMs + delayMs),
    lifetimeMs: lifetimeMs(head, said, dateMs, defaultTtlMs),
    alwaysAsks,
    strict,
    whileAskedMs: graceMs('stale-while-revalidate'),
    ifErrorMs: graceMs('stale-if-error'),
  };
}

export function ageMs(life: Life, nowMs: number): number {
  return life.initialAgeMs + Math.max(0, nowMs - life.storedAtMs);
}

/** Whether an answer may be given for a request that says this. `request`: it is fresh, and not fresh enough. */
export function useOf(life: Life, asked: Directives, nowMs: number): Use {
  const oldMs = ageMs(life, nowMs);
  const leftMs = life.lifetimeMs - oldMs;
  if (life.alwaysAsks) return 'stale';
  if (asked.has('no-cache')) return 'request';
  const oldest = secondsOf(asked, 'max-age');
  if (oldest !== null && oldMs > oldest * 1000) return leftMs > 0 ? 'request' : 'stale';
  const fresher = secondsOf(asked, 'min-fresh');
  if (fresher !== null && leftMs < fresher * 1000) return leftMs > 0 ? 'request' : 'stale';
  if (leftMs > 0) return 'fresh';
  if (life.strict || !asked.has('max-stale')) return 'stale';
  const most = asked.get('max-stale') === '' ? Infinity : (secondsOf(asked, 'max-stale') ?? 0);
  return -leftMs <= most * 1000 ? 'fresh' : 'stale';
}

/** Whether what is stale may be given all the same: while another call asks for it anew, or because asking failed. */
export function graceOf(
  life: Life,
  asked: Directives,
  nowMs: number,
): { readonly whileAsked: boolean; readonly ifError: boolean } {
  // A client that wants something fresher gets nothing staler.
  if (fresherDirectives.some((name) => asked.has(name))) return noGrace;
  const overMs = ageMs(life, nowMs) - life.lifetimeMs;
  const whileAsked = overMs < life.whileAskedMs;
  return { whileAsked, ifError: whileAsked || overMs < life.ifErrorMs };
}

/** Cache-Control of a request, with what older clients say in its place (section 5.4). */
export function askedOf(head: Head): Directives {
  const values = head.values('cache-control');
  if (values.length > 0) return readDirectives(values);
  const pragma = readDirectives(head.values('pragma'));
  return pragma.has('no-cache') ? pragma : none;
}

/** If-None-Match (weak comparison), without it If-Modified-Since: the client has it already (RFC 9110 section 13.2.2). */
export function isUnchanged(
  ifNoneMatch: readonly string[],
  ifModifiedSince: readonly string[],
  head: Head,
): boolean {
  if (ifNoneMatch.length > 0) {
    const [tag] = head.values('etag');
    const list = ifNoneMatch.join(',');
    if (list.trim() === '*') return true;
    if (tag === undefined) return false;
    return (list.match(entityTag) ?? []).some((one) => opaque(one) === opaque(tag));
  }
  const sinceMs = dateOf(ifModifiedSince);
  const changedMs = dateOf(head.values('last-modified'));
  return sinceMs !== null && changedMs !== null && changedMs <= sinceMs;
}

function lifetimeMs(head: Head, said: Directives, dateMs: number, defaultTtlMs: number): number {
  const seconds = secondsOf(said, 's-maxage') ?? secondsOf(said, 'max-age');
  if (seconds !== null) return seconds * 1000;
  const expires = head.values('expires');
  if (expires.length > 0) return Math.max(0, (dateOf(expires) ?? 0) - dateMs);
  return defaultTtlMs;
}

/** Null: there is none, several, or one that is no date. */
function dateOf(values: readonly string[]): number | null {
  const [text = '', more] = values;
  if (more !== undefined || !/^[A-Z][a-z]{2,8},? /.test(text)) return null;
  const ms = Date.parse(text);
  return Number.isNaN(ms) ? null : ms;
}

function opaque(tag: string): string {
  return tag.replace(/^W\//, '');
}

const none: Directives = new Map();
const entityTag = /(?:W\/)?"[^"]*"/g;
