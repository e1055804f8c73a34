// Whether a downstream connection can serve another request after this one (RFC 9112 9.3).
import type { BodyCursor } from './body.ts';
import type { RequestHead } from './request-head.ts';

/** What was asked, or might come next, ends the connection whatever the answer. */
export function closesAfter(request: RequestHead, body: BodyCursor): boolean {
  if (request.close || request.minor === 0) return true;
  // The client may never send a body that it was not told to continue with.
  if (request.expectsContinue && !body.done && body.bytes === 0) return true;
  // What follows a refused upgrade may not be HTTP at all (RFC 9110 7.8).
  return request.upgradeAsked || request.method === 'CONNECT';
}

/** Whether the rest of a body that nobody wants may be read and dropped to keep the connection. */
export function isDroppable(request: RequestHead, body: BodyCursor, bytesMax: number): boolean {
  if (body.done) return true;
  return !request.expectsContinue && request.contentLength - body.bytes <= bytesMax;
}

/**
 * How long an upstream connection may stay idle.
 * @param saidSeconds by the upstream's `Keep-Alive: timeout`; -1: nothing
 */
export function idleMsOf(saidSeconds: number, idleTimeoutMs: number): number {
  if (saidSeconds < 0) return idleTimeoutMs;
  // A second less than it says, for what is under way when it closes.
  return Math.min(idleTimeoutMs, Math.max(1, saidSeconds * 1_000 - 1_000));
}
