// A span as it leaves the tracer, and what is noted of a call while it is under way.
import type { Trace } from '../trace-context.ts';

export type AttributeValue = string | number | boolean;
export type Attributes = Record<string, AttributeValue>;

/** Something that happened to a call at one time. */
export interface SpanEvent {
  readonly name: string;
  /** performance.now(). */
  readonly atMs: number;
  readonly attributes: Readonly<Attributes>;
}

/** A finished span, ready for an exporter. Its times are performance.now(), but for `clockMs`. */
export interface FinishedSpan {
  readonly name: string;
  readonly kind: 'server' | 'client';
  readonly trace: Trace;
  readonly startedAtMs: number;
  readonly finishedAtMs: number;
  /** What is to be added to its times for milliseconds since 1970. */
  readonly clockMs: number;
  readonly failed: boolean;
  readonly attributes: Readonly<Attributes>;
  readonly events: readonly SpanEvent[];
}
