// Copies of a call that go to other services as well; nobody waits for their answers.
import type { RouteMirror } from '#api/traffic/route.ts';

import type { Exchange } from '../exchange.ts';
import type { FailureCode } from '../failures.ts';
import { PASS, type Outcome } from '../request-path.ts';
import { isDrawn } from '../routing/fault.ts';
import { DetachedCall } from '../wire/detached-call.ts';
import { faultOf } from './attempt.ts';
import { poolOf } from './destination.ts';
import { routeTo, type Known } from './route-target.ts';

/** Larger bodies, and those that are not whole by then, are not mirrored. */
const bodyBytesMax = 1_048_576;
const bodyWaitMs = 250;
const timeoutMs = 15_000;

/** Sends the copies that are drawn, once the body is there, and lets the call go on. */
export function mirrorTo(
  x: Exchange,
  known: Known,
  mirrors: readonly RouteMirror[],
): Outcome | Promise<Outcome> {
  const drawn = mirrors.filter(({ percent }) => isDrawn(percent, Math.random));
  if (drawn.length === 0 || x.request.upgrade !== '') return PASS;
  if (!x.request.hasBody) {
    for (const mirror of drawn) send(x, known, mirror, Buffer.alloc(0));
    return PASS;
  }
  return x.stream.readBody(bodyBytesMax, bodyWaitMs).then((read) => {
    if (typeof read === 'string') return PASS;
    for (const mirror of drawn) send(x, known, mirror, read);
    return PASS;
  });
}

function send(x: Exchange, known: Known, mirror: RouteMirror, body: Buffer): void {
  const { service, servicePort, details } = x;
  if (x.to === null) return;
  const to = routeTo(x, known, x.to, mirror.destination);
  // It is noted with the call that is answered, which goes elsewhere.
  x.service = service;
  x.servicePort = servicePort;
  x.details = details;
  if ('code' in to) return;
  // Copies count as calls, as in Envoy: a cluster that takes no more of them gets none.
  const member = to.cluster.admit() === null ? to.cluster.pick([], null) : null;
  if (member === null) return;
  const { method, path, scheme, authority: called } = x.request;
  const startedMs = performance.now();
  const end = (outcome: number | FailureCode): void => {
    const answered = typeof outcome === 'number';
    const latencyMs = performance.now() - startedMs;
    member.end({
      status: answered ? outcome : 0,
      fault: answered ? 'none' : faultOf(outcome),
      latencyMs,
    });
  };
  const authority = shadowOf(called);
  const asked = { method, path, scheme, authority, lines: x.request.lines(), body };
  const copy = DetachedCall.of(asked, timeoutMs, end);
  if (copy === null) return;
  member.begin();
  copy.ask(poolOf(x, member, to));
}

/** As Envoy: `reviews:9080` becomes `reviews-shadow:9080`. */
function shadowOf(authority: string): string {
  const at = authority.lastIndexOf(':');
  return at === -1 || authority.endsWith(']')
    ? `${authority}-shadow`
    : `${authority.slice(0, at)}-shadow${authority.slice(at)}`;
}
