// One limit, compiled: whom it is for, what it counts by, its counts in this process, and its words to callers.
import { createHash } from 'node:crypto';

import type { Limit, RateLimit } from '#api/kinds/rate-limit.ts';
import { placeOf } from '#api/origin.ts';
import type { ConnectionFacts, RequestFacts } from '#policy/facts.ts';

import { failures, type Failure } from '../failures.ts';
import type { Algorithm } from './algorithm.ts';
import { algorithmOf, kindOf, scriptArgumentsOf, type ScriptArguments } from './algorithms.ts';
import { compileKeyPart, type KeyPart } from './key.ts';
import { KeyHash } from './key-hash.ts';
import { compileRequestMatch, type RequestTest } from '#policy/request-match.ts';
import type { KeyTable } from './table.ts';

export type HeaderStyle = 'ietf' | 'x-ratelimit' | 'none';

/** What became of requests that a limit is for. */
export interface LimitCounts {
  allowed: number;
  limited: number;
  wouldLimit: number;
  failedOpen: number;
  failedClosed: number;
}

/** What goes on when a snapshot is swapped and the limit is the same. */
export interface LimitState {
  /** Null: it is counted in Redis. */
  readonly table: KeyTable | null;
  readonly counts: LimitCounts;
}

const keyHash = new KeyHash();

export class CompiledLimit {
  /** `namespace/name/limit`. */
  readonly name: string;
  /** `namespace/name[0]`: where it stands in its resource. */
  readonly position: string;
  /** As its algorithm is written: `tokenBucket`. */
  readonly kind: string;
  /** All that its counts depend on. */
  readonly signature: string;
  readonly state: LimitState;
  readonly algorithm: Algorithm;
  readonly enforce: boolean;
  readonly style: HeaderStyle;
  /** Its item of `RateLimit-Policy`, and how its item of `RateLimit` begins. */
  readonly policyItem: string;
  readonly quoted: string;
  /** The answer to requests that it refuses. */
  readonly refusal: Failure;
  readonly scriptArguments: ((nowMs: number) => ScriptArguments) | null;
  readonly #matches: RequestTest | null;
  readonly #parts: readonly KeyPart[];

  constructor(
    resource: RateLimit,
    index: number,
    trustDomains: readonly string[],
    stateOf: (limit: CompiledLimit, algorithm: Algorithm, keys: number) => LimitState,
  ) {
    const { metadata, spec, origin } = resource;
    const limit = spec.limits[index];
    if (limit === undefined) throw new Error(`${metadata.name} has no limit ${index}`);
    const shared = limit.scope === 'shared';
    this.name = `${metadata.namespace}/${metadata.name}/${limit.name}`;
    this.position = `${metadata.namespace}/${metadata.name}[${index}]`;
    this.kind = kindOf(limit);
    this.signature = signatureOf(limit);
    this.algorithm = algorithmOf(limit);
    this.enforce = limit.enforce;
    this.#matches = compileRequestMatch(limit.match, { trustDomains });
    this.#parts = (limit.key ?? []).map(compileKeyPart);
    this.scriptArguments = shared ? scriptArgumentsOf(limit) : null;
    this.state = stateOf(this, this.algorithm, this.#parts.length === 0 ? 1 : limit.maxKeys);
    const { status = 429, body = 'Too Many Requests', headers = 'ietf' } = spec.response ?? {};
    this.style = headers;
    this.quoted = `"${limit.name}"`;
    this.policyItem = policyItemOf(this.quoted, this.algorithm);
    const { file = '', line = 0 } = placeOf(origin, `spec.limits[${index}]`);
    const at = line === 0 ? '' : ` (${file}:${line})`;
    const why = `the limit "${limit.name}" of RateLimit ${metadata.namespace}/${metadata.name}${at}`;
    const details = shared ? 'request_rate_limited' : 'local_rate_limited';
    const told = { ...failures['rate-limited'], details, why: `refused by ${why}` };
    this.refusal = Object.freeze({ ...told, status, body, limit: this.name });
  }

  matches(connection: ConnectionFacts, request: RequestFacts): boolean {
    return this.#matches === null || this.#matches(connection, request);
  }

  /** The two words of the request's key, in `words` until the next key is hashed. */
  hashKey(connection: ConnectionFacts, request: RequestFacts, consumer: string): Uint32Array {
    const { table } = this.state;
    keyHash.begin(table?.secret0 ?? 0, table?.secret1 ?? 0);
    for (const part of this.#parts) keyHash.text(part(connection, request, consumer));
    keyHash.end();
    return keyHash.words;
  }

  /** The key in Redis: values are hashed, for API keys and tokens are nobody's business there. */
  sharedKey(
    kind: string,
    connection: ConnectionFacts,
    request: RequestFacts,
    consumer: string,
  ): string {
    const named = `selvage:${this.name}:${kind}`;
    if (this.#parts.length === 0) return named;
    const values = JSON.stringify(this.#parts.map((part) => part(connection, request, consumer)));
    return `${named}:${createHash('sha256').update(values).digest('base64url')}`;
  }
}

/** Counts in this process. @returns whether there was room; `taken` says the rest */
export function takeLocal(
  limit: CompiledLimit,
  table: KeyTable,
  words: Uint32Array,
  nowMs: number,
): boolean {
  const word0 = words[0] ?? 0;
  const word1 = words[1] ?? 0;
  table.lock();
  const at = table.find(word0, word1, nowMs);
  const admitted = at !== -1 && limit.algorithm.take(table.cells, at, nowMs);
  table.unlock();
  return admitted;
}

export function refundLocal(
  limit: CompiledLimit,
  table: KeyTable,
  word0: number,
  word1: number,
  takenAtMs: number,
): void {
  table.lock();
  const at = table.known(word0, word1);
  if (at !== -1) limit.algorithm.refund(table.cells, at, takenAtMs);
  table.unlock();
}

export function isConcurrency({ algorithm }: CompiledLimit): boolean {
  return algorithm.windowSeconds === 0;
}

function signatureOf(limit: Limit): string {
  return JSON.stringify({ ...limit, name: undefined, match: undefined, enforce: undefined });
}

/** draft-ietf-httpapi-ratelimit-headers: quota, window in seconds, unit where it is not requests. */
function policyItemOf(quoted: string, { quota, windowSeconds }: Algorithm): string {
  return windowSeconds === 0
    ? `${quoted};q=${quota};qu="concurrent-requests"`
    : `${quoted};q=${quota};w=${windowSeconds}`;
}
