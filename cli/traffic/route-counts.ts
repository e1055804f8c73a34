// Calls summed by who calls whom with which method and path: bounded, whatever callers put into their paths.
import type { CallRecord } from '#api/call-record.ts';

import { calleeOf, callerOf } from '../calls/record-words.ts';

export interface RouteCount {
  readonly source: string;
  readonly destination: string;
  readonly method: string;
  /** What looks like an id is `*`. */
  readonly path: string;
  requests: number;
  /** Status of 500 and above, gRPC's failures, and none at all. */
  failures: number;
  /** 401, 403 and 429 that sidecars gave. */
  refusals: number;
  bestMs: number;
  worstMs: number;
  lastMs: number;
}

/** Of different routes; further ones are counted as one. */
export const routesMax = 1000;
const segmentsMax = 8;

export class RouteCounts {
  readonly #routes = new Map<string, RouteCount>();

  /** The most called first. */
  list(): RouteCount[] {
    return [...this.#routes.values()].toSorted(
      (a, b) => b.requests - a.requests || (keyOf(a) < keyOf(b) ? -1 : 1),
    );
  }

  add(record: CallRecord): void {
    const route = this.#find(record);
    const { durationMs, status, id } = record;
    route.requests += 1;
    route.lastMs = durationMs;
    route.bestMs = Math.min(route.bestMs, durationMs);
    route.worstMs = Math.max(route.worstMs, durationMs);
    if (hasFailed(record)) route.failures += 1;
    else if (record.verdict === 'deny' || (id !== '' && status === 429)) route.refusals += 1;
  }

  #find(record: CallRecord): RouteCount {
    const named = {
      source: callerOf(record),
      destination: calleeOf(record),
      method: record.method === '' ? 'TCP' : record.method,
      path: pathPattern(record.path),
    };
    const key = keyOf(named);
    const known = this.#routes.get(key);
    if (known !== undefined) return known;
    const isFull = this.#routes.size >= routesMax;
    const name = isFull ? { source: '*', destination: '*', method: '*', path: '(others)' } : named;
    const others = isFull ? this.#routes.get(keyOf(name)) : undefined;
    if (others !== undefined) return others;
    const nothing = { requests: 0, failures: 0, refusals: 0, worstMs: 0, lastMs: 0 };
    const route = { ...name, ...nothing, bestMs: Infinity };
    this.#routes.set(keyOf(name), route);
    return route;
  }
}

/** gRPC's failures of a server, as OpenTelemetry has them: those of a caller are answers. */
const grpcFailures: ReadonlySet<string> = new Set(['2', '4', '12', '13', '14', '15']);

function hasFailed({ method, status, flags, verdict, grpcStatus }: CallRecord): boolean {
  if (verdict === 'deny') return false;
  if (method === '') return flags !== '-';
  return status === 0 || status >= 500 || grpcFailures.has(grpcStatus);
}

function keyOf({
  source,
  destination,
  method,
  path,
}: Pick<RouteCount, 'source' | 'destination' | 'method' | 'path'>): string {
  return [source, destination, method, path].join('\n');
}

/** Without its query, ids as a star, and at most 8 parts. */
export function pathPattern(path: string): string {
  const [plain = ''] = path.split(/[?#]/);
  const parts = plain.split('/');
  const shown = parts.slice(0, segmentsMax + 1).map((part) => (isId(part) ? '*' : part));
  const more = parts.length > shown.length ? '/…' : '';
  return `${shown.join('/')}${more}`;
}

/** Numbers, UUIDs, hashes, and long words that have digits in them. */
function isId(part: string): boolean {
  if (/^\d+$/.test(part)) return true;
  if (/^[\da-f]{8}-(?:[\da-f]{4}-){3}[\da-f]{12}$/i.test(part)) return true;
  if (/^[\da-f]{12,}$/i.test(part) && /\d/.test(part)) return true;
  return part.length >= 20 && /\d/.test(part) && !/^v\d/.test(part);
}
