// How a callee's sidecar tells its caller's that no answer came from the application, so that another may give one.
import type { ResponseView } from './exchange.ts';
import type { FailureCode } from './failures.ts';

/**
 * On answers that a sidecar makes itself, within mutual TLS: `refused` (the application never got the
 * request; HTTP/2 has REFUSED_STREAM for it, RFC 9113 8.7) or `reset` (it went away without an answer).
 * Callers' sidecars act on it and pass it on to nobody; what an application says by it is cut where
 * it leaves: an application that has answered has processed.
 */
const unansweredHeader = 'x-selvage-unanswered';

/** @param untouched the application never got the request */
export function unansweredLine(untouched: boolean): string {
  return `${unansweredHeader}: ${untouched ? 'refused' : 'reset'}\r\n`;
}

/** What the peer's sidecar says became of the request; null: the answer is one. */
export function readUnanswered(head: ResponseView): FailureCode | null {
  const [said] = mayCarry(head.status) ? head.values(unansweredHeader) : [];
  if (said === 'refused') return 'upstream-refused';
  return said === 'reset' ? 'upstream-reset' : null;
}

/** Of what an application answers. */
export function cutUnanswered(response: ResponseView): void {
  if (mayCarry(response.status)) response.remove(unansweredHeader);
}

/** 200 is what gRPC's callers get in place of 503. */
function mayCarry(status: number): boolean {
  return status === 503 || status === 200;
}
