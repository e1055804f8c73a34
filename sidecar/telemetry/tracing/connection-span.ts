// The span of one connection carried as bytes: a trace of its own, since bytes bring no context.
import { plainAddress } from '#runtime/plain-address.ts';

import type { LogRecord } from '../log-record.ts';
import { startTrace } from '../trace-context.ts';
import type { TcpSession } from '../types.ts';
import { addressAttributes, calledHost, partyAttributes } from './places.ts';
import type { Attributes, FinishedSpan, SpanEvent } from './span.ts';
import type { SpanStyle } from './span-style.ts';

/** @param record of this session */
export function connectionSpan(
  session: TcpSession,
  record: LogRecord,
  style: SpanStyle,
  clockMs: number,
): FinishedSpan {
  const { downstream, verdict, upstreamAddress } = session;
  const inbound = downstream.direction === 'inbound';
  const port = inbound ? downstream.facts.destinationPort : session.servicePort;
  const host = calledHost(session, style) || style.cut(upstreamAddress);
  const attributes: Attributes = {};
  style.addOwner(attributes);
  attributes['network.transport'] = 'tcp';
  attributes['server.address'] = host;
  if (port !== 0) attributes['server.port'] = port;
  if (inbound) {
    attributes['client.address'] = plainAddress(downstream.remoteAddress);
    attributes['network.peer.address'] = plainAddress(downstream.remoteAddress);
    attributes['network.peer.port'] = downstream.remotePort;
  } else if (upstreamAddress !== '') {
    addressAttributes(attributes, 'network.peer', upstreamAddress);
  }
  if (upstreamAddress !== '') attributes['selvage.endpoint'] = upstreamAddress;
  partyAttributes(attributes, session, style);
  attributes['selvage.received_bytes'] = session.receivedBytes;
  attributes['selvage.sent_bytes'] = session.sentBytes;
  attributes['response_flags'] = session.flag;
  attributes['peer.address'] = plainAddress(downstream.remoteAddress);
  if (record.upstreamCluster !== '') attributes['upstream_cluster'] = record.upstreamCluster;
  if (verdict !== null) style.addVerdict(attributes, verdict);
  if (session.id !== '') attributes['selvage.id'] = session.id;
  const failed = session.flag !== '-';
  if (failed) attributes['error.type'] = session.details || session.flag;
  const events = deniedEvents(session, record, style);
  for (const { attributes: said } of events)
    attributes['selvage.why'] = said['selvage.reason'] ?? '';
  style.addTags(attributes, record);
  return {
    name: `TCP ${host}`,
    kind: inbound ? 'server' : 'client',
    trace: startTrace(),
    startedAtMs: session.openedAtMs,
    finishedAtMs: session.closedAtMs,
    clockMs,
    failed,
    attributes,
    events,
  };
}

function deniedEvents(session: TcpSession, record: LogRecord, style: SpanStyle): SpanEvent[] {
  const { verdict, closedAtMs } = session;
  if (verdict === null || verdict.allowed) return [];
  const attributes = {
    'selvage.reason': style.why(record),
    'selvage.code': 'denied',
  };
  return [{ name: 'selvage.denied', atMs: closedAtMs, attributes }];
}
