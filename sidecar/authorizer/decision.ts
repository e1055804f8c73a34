// What an external authorizer decided, whichever protocol it speaks, and what becomes of the call then.
import type { Exchange } from '../exchange.ts';
import { failureIdHeader } from '../failure-id.ts';
import { failures, type Failure } from '../failures.ts';
import { editQuery } from './query-edit.ts';

export type HeaderPair = readonly [name: string, value: string];

/** Names are in lower case. */
export interface Allowed {
  readonly allowed: true;
  /** In place of what the client sent. */
  readonly set: readonly HeaderPair[];
  /** Beside what the client sent, if it did. */
  readonly append: readonly HeaderPair[];
  readonly remove: readonly string[];
  /** For the answer of the application. */
  readonly downstream: readonly HeaderPair[];
  /** Cut from that answer before. */
  readonly downstreamCut: readonly string[];
  readonly querySet: readonly HeaderPair[];
  readonly queryRemove: readonly string[];
}

export interface Refused {
  readonly allowed: false;
  readonly status: number;
  readonly headers: readonly HeaderPair[];
  readonly body: string;
}

export type Decision = Allowed | Refused;

/** The body as far as it is told to an authorizer. */
export interface CheckBody {
  readonly bytes: Buffer;
  readonly isPartial: boolean;
}

/** Asks an authorizer about a call; rejects when it gives no answer that can be used. */
export type Ask = (x: Exchange, body: CheckBody | null) => Promise<Decision>;

/** Between two hops only, or made anew by the client (RFC 9110 section 7.6.1). */
export const hopHeaders: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'content-length',
  'host',
  'expect',
  'date',
  'server',
]);

/** An OK does not allow: tokens and rules come after it. */
export function admit(x: Exchange, decision: Allowed): void {
  const { request } = x;
  for (const name of decision.remove) if (isOurs(name)) request.removeSpellings(name);
  const replaced = new Set<string>();
  for (const [name, value] of decision.set) {
    if (!isOurs(name)) continue;
    if (!replaced.has(name)) request.removeSpellings(name);
    replaced.add(name);
    request.append(name, value);
  }
  for (const [name, value] of decision.append) {
    if (isOurs(name) && request.values(name).length > 0) request.append(name, value);
  }
  const path = editQuery(request.path, decision.querySet, decision.queryRemove);
  if (path !== request.path) request.setPath(path);
  const downstream = decision.downstream.filter(([name]) => isOurs(name));
  if (downstream.length > 0) x.responseHeaders = [...x.responseHeaders, ...downstream];
  const cut = decision.downstreamCut.filter(isOurs);
  if (cut.length > 0) x.responseCuts = [...x.responseCuts, ...cut];
}

export function refuse(x: Exchange, { status, headers, body }: Refused): Failure {
  x.replyHeaders += headers
    .filter(([name]) => isOurs(name))
    .map(([name, value]) => `${name}: ${value}\r\n`)
    .join('');
  return { ...failures['authorizer-denied'], status, body };
}

/** Neither of framing nor of the connection, no part of the request line, and not what another sidecar says to us. */
function isOurs(name: string): boolean {
  return !hopHeaders.has(name) && !name.startsWith(':') && name !== failureIdHeader;
}
