// Spans in OpenTelemetry's protobuf. The one file that knows OpenTelemetry; it is loaded with the first sampled span.
import { SpanKind, SpanStatusCode, type HrTime } from '@opentelemetry/api';
import { ProtobufTraceSerializer } from '@opentelemetry/otlp-transformer';
import { resourceFromAttributes, type Resource } from '@opentelemetry/resources';
import type { ReadableSpan, TimedEvent } from '@opentelemetry/sdk-trace';

import type { FinishedSpan, SpanEvent } from '../tracing/span.ts';

export type SpanEncoder = (spans: readonly FinishedSpan[]) => Buffer;

/** @param attributes `service.name` and its like */
export function createEncoder(attributes: Readonly<Record<string, string>>): SpanEncoder {
  const resource = resourceFromAttributes({ ...attributes });
  return (spans) => {
    const bytes = ProtobufTraceSerializer.serializeRequest(
      spans.map((span) => readable(span, resource)),
    );
    if (bytes === undefined) throw new Error('the spans cannot be written as protobuf');
    return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  };
}

const scope = { name: 'selvage' };
const sampledFlag = 1;

function readable(span: FinishedSpan, resource: Resource): ReadableSpan {
  const { trace, clockMs, startedAtMs, finishedAtMs } = span;
  const { traceId, spanId, parentId } = trace;
  const context = { traceId, spanId, traceFlags: sampledFlag };
  return {
    name: span.name,
    kind: span.kind === 'server' ? SpanKind.SERVER : SpanKind.CLIENT,
    spanContext: () => context,
    parentSpanContext:
      parentId === ''
        ? undefined
        : { traceId, spanId: parentId, traceFlags: sampledFlag, isRemote: true },
    startTime: hrTime(clockMs + startedAtMs),
    endTime: hrTime(clockMs + finishedAtMs),
    duration: hrTime(finishedAtMs - startedAtMs),
    status: { code: span.failed ? SpanStatusCode.ERROR : SpanStatusCode.UNSET },
    attributes: span.attributes,
    links: [],
    events: span.events.map((event) => timed(event, clockMs)),
    ended: true,
    resource,
    instrumentationScope: scope,
    droppedAttributesCount: 0,
    droppedEventsCount: 0,
    droppedLinksCount: 0,
  };
}

function timed({ name, atMs, attributes }: SpanEvent, clockMs: number): TimedEvent {
  return { name, time: hrTime(clockMs + atMs), attributes, droppedAttributesCount: 0 };
}

function hrTime(ms: number): HrTime {
  const seconds = Math.floor(ms / 1000);
  return [seconds, Math.floor((ms - seconds * 1000) * 1e6)];
}
