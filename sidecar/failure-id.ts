// The id of one failure: in the response, in the log line and at /why, so that whoever gets an error can ask about it.
import { getRandomValues } from 'node:crypto';

import type { Exchange, ResponseView } from './exchange.ts';

/** On each answer that a sidecar makes because of a failure. The caller's sidecar passes the callee's on. */
export const failureIdHeader = 'x-selvage-id';

/** Crockford's: no i, l, o and u, which are read as others or as words. */
const alphabet = '0123456789abcdefghjkmnpqrstvwxyz';
/** 50 bits: of ten million failures in a mesh, two have the same with a chance of one in twenty. */
const idCharacters = 10;
const idPattern = /^[0-9a-hjkmnp-tv-z]{10}$/;

/** Random bytes for many ids: asking the system costs more than all else. */
const pool = new Uint8Array(64 * idCharacters);
let used = pool.length;

export function newFailureId(): string {
  if (used === pool.length) {
    getRandomValues(pool);
    used = 0;
  }
  let id = '';
  for (const end = used + idCharacters; used < end; used++) id += alphabet[pool[used]! & 31]!;
  return id;
}

export function isFailureId(text: string): boolean {
  return idPattern.test(text);
}

export function idLine(id: string): string {
  return `${failureIdHeader}: ${id}\r\n`;
}

/** The id in an answer of another sidecar; '' without one. */
export function readFailureId(head: ResponseView): string {
  const [id = ''] = head.values(failureIdHeader);
  return isFailureId(id) ? id : '';
}

/** Inbound: an application has none to give. */
export function cutFailureId(_x: Exchange, response: ResponseView): void {
  response.remove(failureIdHeader);
}

/** Outbound: only another sidecar's is passed on. */
export function cutForeignFailureId({ member }: Exchange, response: ResponseView): void {
  if (member === null || !member.meshed) response.remove(failureIdHeader);
}
