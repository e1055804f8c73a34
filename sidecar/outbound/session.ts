// A call that belongs to a session: where it went the last time, and what its caller is told for the next one.
import type { SessionPersistence } from '#api/traffic/route.ts';

import type { Exchange, ResponseView } from '../exchange.ts';
import type { CompiledDestination, CompiledForward } from '../routing/compiled-route.ts';
import { sessionOf, tellSession, type SessionToken } from '../routing/session.ts';
import { targetOf, type Known } from './route-target.ts';

export interface CallSession {
  readonly said: SessionPersistence;
  /** Null: a new one begins. */
  readonly token: SessionToken | null;
}

/** The destination that the caller stays with, as long as its endpoint may be called; null: the route is free to choose. */
export function resumeSession(
  x: Exchange,
  { destinations, session }: CompiledForward,
  { routes, upstreams }: Known,
): CompiledDestination | null {
  if (session === null) return null;
  const token = sessionOf(session, x.request, secondsNow());
  const isMeant = ({ destination, invalid }: CompiledDestination): boolean => {
    if (token === null || invalid !== undefined) return false;
    if (destination.host !== token.host || destination.port !== token.port) return false;
    const route = targetOf(routes, destination, x.servicePort);
    return route !== null && (upstreams.cluster(route)?.kept(token.address) ?? null) !== null;
  };
  const found = destinations.find(isMeant) ?? null;
  x.session = { said: session, token: found === null ? null : token };
  return found;
}

/** Of an answer: names the endpoint that gave it, where the caller does not know it yet, or to count from now. */
export function keepSession(x: Exchange, response: ResponseView): void {
  const { session, member, to, routed, failure } = x;
  const destination = routed?.destination?.destination;
  if (session === null || member === null || failure !== null || destination === undefined) return;
  if (to?.kind !== 'service' || to.cluster.passthrough) return;
  const { said, token } = session;
  const usedS = secondsNow();
  const same = token !== null && token.address === member.address;
  if (same && ((said.idleS ?? 0) === 0 || token.usedS === usedS)) return;
  const { host, port } = destination;
  const createdS = same ? token.createdS : usedS;
  tellSession(said, { createdS, usedS, host, port, address: member.address }, response);
}

function secondsNow(): number {
  return Math.floor(Date.now() / 1000);
}
