// One log line's facts, the same shape for a request, a byte stream and a refused connection.
import type { ConnectionFacts } from '#policy/facts.ts';
import { pathOfTarget } from '#policy/request.ts';
import { formatAddress } from '#runtime/plain-address.ts';

import type { Exchange } from '../exchange.ts';
import { detailsOf } from './call-values.ts';
import { clusterOfExchange, clusterOfSession } from './cluster-name.ts';
import type { LoggedReason } from './log-reason.ts';
import { slotOf } from './slot.ts';
import type { ConnectionEnds, ConnectionRefusal, TcpSession } from './types.ts';

/** Filled anew for each line; one object serves them all. Strings are as the network gave them. */
export class LogRecord {
  /** Null for connections. */
  exchange: Exchange | null = null;
  session: TcpSession | null = null;
  refusal: ConnectionRefusal | null = null;
  startedAtMs = 0;
  durationMs = 0;
  method = '';
  path = '';
  protocol = '';
  authority = '';
  status = 0;
  flags = '-';
  details = '';
  terminationDetails = '';
  transportFailure = '';
  receivedBytes = 0;
  sentBytes = 0;
  /** -1: no answer came from upstream. */
  serviceTimeMs = -1;
  requestId = '';
  upstreamAddress = '';
  upstreamCluster = '';
  localAddress = '';
  remoteAddress = '';
  sni = '';
  routeName = '';
  sourcePrincipal = '';
  /** Of the failure; '' where nothing failed here. */
  id = '';
  /** Made when a line asks for it; several logs of one call share it. */
  reason: LoggedReason | null = null;

  ofExchange(x: Exchange): void {
    const { downstream, request, failure } = x;
    const slot = slotOf(downstream);
    this.exchange = x;
    this.reason = null;
    this.session = null;
    this.refusal = null;
    this.startedAtMs = x.startedAtMs;
    this.durationMs = x.finishedAtMs - x.startedAtMs;
    this.method = request.method;
    // A head that was refused before it was admitted still has its target as it came, host and all.
    this.path = pathOfTarget(request.path);
    this.protocol = x.protocol;
    this.authority = request.authority;
    this.status = x.status;
    this.flags = x.flags;
    this.details = detailsOf(x);
    this.terminationDetails = '';
    this.transportFailure = failure !== null && failure.code === 'upstream-tls' ? x.details : '';
    this.receivedBytes = x.requestBodyBytes;
    this.sentBytes = x.responseBodyBytes;
    this.serviceTimeMs = x.respondedAtMs === 0 ? -1 : x.respondedAtMs - x.forwardedAtMs;
    this.requestId = x.requestId;
    this.upstreamAddress = x.upstreamAddress;
    this.upstreamCluster = clusterOfExchange(x);
    this.localAddress = slot.local || (slot.local = localOf(downstream));
    this.remoteAddress = slot.remote || (slot.remote = remoteOf(downstream));
    this.sni = downstream.facts.sni;
    this.routeName = x.routed === null ? 'default' : x.routed.compiled.route.name;
    this.sourcePrincipal = downstream.facts.identities[0] ?? '';
    this.id = x.id;
  }

  ofSession(session: TcpSession): void {
    this.ofConnection(session.downstream, session.downstream.facts);
    this.session = session;
    this.id = session.id;
    this.startedAtMs = session.openedAtMs;
    this.durationMs = session.closedAtMs - session.openedAtMs;
    this.flags = session.flag;
    this.terminationDetails = session.details;
    this.receivedBytes = session.receivedBytes;
    this.sentBytes = session.sentBytes;
    this.upstreamAddress = session.upstreamAddress;
    this.upstreamCluster = clusterOfSession(session);
  }

  ofRefusal(refusal: ConnectionRefusal): void {
    this.ofConnection(refusal.downstream, null);
    this.refusal = refusal;
    this.id = refusal.id ?? '';
    this.startedAtMs = performance.now();
    this.durationMs = 0;
    this.flags = 'NR';
    this.details = 'connection_refused';
    this.terminationDetails = 'connection_refused';
    this.receivedBytes = 0;
    this.sentBytes = 0;
    this.upstreamAddress = '';
    this.upstreamCluster = '';
    this.sni = refusal.sni;
  }

  private ofConnection(ends: ConnectionEnds, facts: ConnectionFacts | null): void {
    this.exchange = null;
    this.reason = null;
    this.session = null;
    this.refusal = null;
    this.method = '';
    this.path = '';
    this.protocol = '';
    this.authority = '';
    this.status = 0;
    this.details = '';
    this.transportFailure = '';
    this.serviceTimeMs = -1;
    this.requestId = '';
    this.localAddress = localOf(ends);
    this.remoteAddress = remoteOf(ends);
    this.sni = facts === null ? '' : facts.sni;
    this.routeName = '';
    this.sourcePrincipal = facts?.identities[0] ?? '';
  }
}

function localOf(ends: ConnectionEnds): string {
  return formatAddress(ends.localAddress, ends.localPort);
}

function remoteOf(ends: ConnectionEnds): string {
  return formatAddress(ends.remoteAddress, ends.remotePort);
}
