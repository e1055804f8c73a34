// Tracing: decides which calls are sampled, and turns those into spans. What is off costs one comparison.
import type { DirectionTelemetry, TelemetrySettings, TraceProvider } from '#api/telemetry.ts';

import type { Exchange } from '../../exchange.ts';
import { nothingWanted, type WantedOfAnswers } from '../kept-answer.ts';
import { LogRecord } from '../log-record.ts';
import { Reasons } from '../log-reason.ts';
import { isDrawn, Trace } from '../trace-context.ts';
import type { ReasonSource, TcpSession } from '../types.ts';
import type { WallClock } from '../wall-clock.ts';
import { connectionSpan } from './connection-span.ts';
import { continueTrace, type Sampling } from './propagation.ts';
import { requestSpan } from './request-span.ts';
import { SpanStyle, type SpanOwner } from './span-style.ts';
import type { FinishedSpan } from './span.ts';

/** By these a caller wants its call traced, whatever the share: ours, and Envoy's. */
export const debugHeader = 'x-selvage-trace';
export const envoyForceHeader = 'x-envoy-force-trace';

/** Takes a span and returns at once. */
export type SpanSink = (span: FinishedSpan) => void;

/** `own`: the sidecar's own endpoint; null: none. */
export type WantedProvider = TraceProvider | 'own' | null;

export interface TracerOptions {
  /** 0 to 1: the share of new traces where no setting of the mesh says another. */
  readonly ratio: number;
  readonly clock: WallClock;
  readonly owner: SpanOwner;
  readonly reasons: ReasonSource | null;
  /** Calls have a trace also where spans go nowhere. */
  readonly withoutSink: boolean;
  /** Callers that may have their calls traced by a header. */
  readonly mayDebug: (identity: string) => boolean;
  readonly environment: (name: string) => string | undefined;
  /** Where spans of either direction go; null: nowhere. What is asked for no more is closed. */
  readonly sinksFor: (wanted: readonly WantedProvider[]) => readonly (SpanSink | null)[];
  readonly warn: (message: string) => void;
}

/** What is done with calls of one direction. */
interface Direction extends Sampling {
  /** Null: a trace is only passed on. */
  readonly sink: SpanSink | null;
  readonly style: SpanStyle;
}

/**
 * Inbound, the span is the server's and the application gets it as its parent; outbound it is the
 * client's and the callee gets it. The application joins the two by passing the headers on.
 */
export class Tracer {
  private readonly options: TracerOptions;
  private readonly record = new LogRecord();
  private readonly reasons: Reasons;
  private inbound: Direction | null = null;
  private outbound: Direction | null = null;

  constructor(options: TracerOptions) {
    this.options = options;
    this.reasons = new Reasons(options.reasons);
    this.configure(undefined);
  }

  /** What the mesh says of tracing; undefined: nothing. */
  configure(settings: TelemetrySettings | undefined): void {
    const { inbound, outbound } = settings ?? {};
    const sinks = this.options.sinksFor([inbound, outbound].map(providerOf));
    this.inbound = this.direction(inbound, sinks[0] ?? null);
    this.outbound = this.direction(outbound, sinks[1] ?? null);
  }

  /** What spans of a direction want kept of answers. */
  wanted(direction: 'inbound' | 'outbound'): WantedOfAnswers {
    return this[direction]?.style.wanted ?? nothingWanted;
  }

  begin(x: Exchange): void {
    const inbound = x.downstream.direction === 'inbound';
    const direction = inbound ? this.inbound : this.outbound;
    if (direction !== null) continueTrace(x, direction, this.isForced(x, inbound));
  }

  /** Only of calls that have a trace. */
  end(x: Exchange): void {
    const { trace, downstream } = x;
    const direction = downstream.direction === 'inbound' ? this.inbound : this.outbound;
    if (direction === null || direction.sink === null || !(trace instanceof Trace)) return;
    const { record } = this;
    record.ofExchange(x);
    direction.sink(requestSpan(x, trace, record, direction.style, this.clockMs(x.finishedAtMs)));
  }

  /** Bytes bring no decision with them: lots are drawn for each connection. */
  tcpClosed(session: TcpSession): void {
    const direction = session.downstream.direction === 'inbound' ? this.inbound : this.outbound;
    if (direction === null || direction.sink === null || !isDrawn(direction.ratio)) return;
    const { record } = this;
    record.ofSession(session);
    const clockMs = this.clockMs(session.closedAtMs);
    direction.sink(connectionSpan(session, record, direction.style, clockMs));
  }

  private direction(said: DirectionTelemetry | undefined, sink: SpanSink | null): Direction | null {
    const { ratio, withoutSink, owner, clock, environment, warn } = this.options;
    const tracing = said?.tracing ?? {};
    if (sink === null && (!withoutSink || tracing.disabled === true)) return null;
    const { samplingPercent } = tracing;
    return {
      sink,
      ratio: samplingPercent === undefined ? ratio : samplingPercent / 100,
      passesOn: tracing.withoutPropagation !== true,
      style: new SpanStyle(owner, tracing, {
        clock,
        environment,
        warn,
        reason: (record) => (record.reason ??= this.reasons.of(record)),
      }),
    };
  }

  /**
   * The headers end here: whoever comes next hears of it by the sampled flag. The application itself is
   * believed; callers are if a setting says so.
   */
  private isForced(x: Exchange, inbound: boolean): boolean {
    const { request, downstream } = x;
    const own = request.values(debugHeader);
    const envoys = request.values(envoyForceHeader);
    if (own.length === 0 && envoys.length === 0) return false;
    request.remove(debugHeader);
    request.remove(envoyForceHeader);
    if (own[0] !== 'on' && envoys.length === 0) return false;
    return !inbound || downstream.facts.identities.some(this.options.mayDebug);
  }

  private clockMs(atMs: number): number {
    return this.options.clock.offsetAt(atMs);
  }
}

function providerOf(direction: DirectionTelemetry | undefined): WantedProvider {
  const tracing = direction?.tracing;
  return tracing?.disabled === true ? null : (tracing?.provider ?? 'own');
}
