// What a test reads of the spans that Jaeger tells.
import { randomBytes } from 'node:crypto';

import type { JaegerSpan, JaegerTrace } from './jaeger.ts';

/** A header of a caller that has begun a trace. */
export function traceparent(traceId: string, sampled: boolean): string {
  return `00-${traceId}-${randomBytes(8).toString('hex')}-${sampled ? '01' : '00'}`;
}

/** From the span whose parent is the test's own, each with the one below it. */
export function chainOf(trace: JaegerTrace | null): unknown[][] {
  if (trace === null) return [];
  const ids = new Set(trace.spans.map(({ spanID }) => spanID));
  const chain: unknown[][] = [];
  let span = trace.spans.find((one) => !ids.has(parentOf(one)));
  while (span !== undefined) {
    const { spanID, processID, operationName } = span;
    chain.push([
      trace.processes[processID]?.serviceName,
      tagOf(span, 'span.kind'),
      operationName,
      tagOf(span, 'http.response.status_code'),
    ]);
    span = trace.spans.find((one) => parentOf(one) === spanID);
  }
  return chain;
}

export function tagOf(span: JaegerSpan | undefined, name: string): unknown {
  return span?.tags.find(({ key }) => key === name)?.value;
}

function parentOf({ references }: JaegerSpan): string {
  return references.find(({ refType }) => refType === 'CHILD_OF')?.spanID ?? '';
}
