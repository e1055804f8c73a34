// Tracing: joins or starts a trace, rewrites its header, and turns sampled exchanges into spans.
import type { Verdict } from '#policy/verdict.ts';

import type { Exchange } from '../exchange.ts';
import { isTraceparent, joinTrace, startTrace, Trace } from './trace-context.ts';
import type { WallClock } from './wall-clock.ts';

export type AttributeValue = string | number | boolean;

/** A finished span, ready for an exporter. */
export interface FinishedSpan {
  readonly name: string;
  readonly kind: 'server' | 'client';
  readonly trace: Trace;
  /** Milliseconds since 1970, with fractions. */
  readonly startMs: number;
  readonly durationMs: number;
  readonly failed: boolean;
  readonly attributes: Readonly<Record<string, AttributeValue>>;
}

export interface TracerOptions {
  /** 0 to 1: the share of new traces that are sampled. Callers' decisions are kept. */
  ratio: number;
  clock: WallClock;
  /** Takes a span and returns at once. */
  emit: (span: FinishedSpan) => void;
}

/**
 * Inbound, the span is the server's and the application gets it as its parent; outbound it is the
 * client's and the callee gets it. The application joins the two by passing the header on.
 */
export class Tracer {
  private readonly options: TracerOptions;

  constructor(options: TracerOptions) {
    this.options = options;
  }

  begin(x: Exchange): void {
    const values = x.request.values('traceparent');
    const value = values[0];
    let trace: Trace;
    if (value !== undefined && values.length === 1 && isTraceparent(value)) {
      trace = joinTrace(value);
    } else {
      trace = startTrace(this.options.ratio);
      // A tracestate without its traceparent means nothing (W3C Trace Context, 3.3).
      if (value !== undefined || x.request.values('tracestate').length > 0) {
        x.request.remove('tracestate');
      }
    }
    if (value !== undefined) x.request.remove('traceparent');
    x.request.append('traceparent', trace.header());
    x.trace = trace;
  }

  end(x: Exchange): void {
    const { trace } = x;
    if (!(trace instanceof Trace) || !trace.sampled) return;
    const inbound = x.downstream.direction === 'inbound';
    const { method } = x.request;
    const host = x.service?.hosts[0];
    this.options.emit({
      name: host === undefined ? method : `${method} ${host}`,
      kind: inbound ? 'server' : 'client',
      trace,
      startMs: this.options.clock.epochMs(x.startedAtMs),
      durationMs: x.finishedAtMs - x.startedAtMs,
      // OpenTelemetry: a server is at fault from 500, a client call has failed from 400.
      failed: x.status >= (inbound ? 500 : 400) || x.status === 0,
      attributes: attributesOf(x),
    });
  }
}

/** HTTP semantic conventions of OpenTelemetry, Envoy's names where tools look for them, and ours. */
function attributesOf(x: Exchange): Record<string, AttributeValue> {
  const { request, downstream, verdict, failure, service } = x;
  const { facts } = downstream;
  const attributes: Record<string, AttributeValue> = {
    'http.request.method': request.method,
    // Without the query: tokens travel there.
    'url.path': clip(request.path.split('?', 1)[0] ?? ''),
    'url.scheme': request.scheme,
    'server.address': clip(request.authority),
    'client.address': downstream.remoteAddress,
    'network.protocol.name': 'http',
    'network.protocol.version': x.protocol.slice(5),
    'http.response.status_code': x.status,
    'http.request.body.size': x.requestBodyBytes,
    'http.response.body.size': x.responseBodyBytes,
    component: 'proxy',
    response_flags: x.flags,
  };
  const agent = request.values('user-agent')[0];
  if (agent !== undefined) attributes['user_agent.original'] = clip(agent);
  if (x.requestId !== '') attributes['guid:x-request-id'] = clip(x.requestId);
  if (x.upstreamAddress !== '') attributes['network.peer.address'] = x.upstreamAddress;
  if (x.attempts > 1) attributes['http.request.resend_count'] = x.attempts - 1;
  if (x.grpcStatus !== '') attributes['rpc.grpc.status_code'] = clip(x.grpcStatus);
  if (failure !== null) attributes['error.type'] = failure.code;
  else if (x.status >= 500) attributes['error.type'] = String(x.status);
  if (service !== null) {
    attributes['istio.canonical_service'] = service.name;
    attributes['istio.namespace'] = service.namespace;
  }
  const peer = facts.identities[0];
  if (peer !== undefined) attributes['selvage.source_principal'] = clip(peer);
  if (verdict !== null) addVerdict(attributes, verdict);
  return attributes;
}

function addVerdict(attributes: Record<string, AttributeValue>, verdict: Verdict): void {
  attributes['selvage.verdict'] = verdict.allowed ? 'allow' : 'deny';
  if (verdict.policy === '') return;
  attributes['selvage.policy'] = `${verdict.namespace}/${verdict.policy}`;
  if (verdict.rule >= 0) attributes['selvage.rule'] = verdict.rule;
}

function clip(text: string): string {
  return text.length > 1024 ? text.slice(0, 1024) : text;
}
