// Which trace a request belongs to by its headers, and the headers for whoever comes next: W3C first, then B3.
import type { Exchange, RequestView } from '../../exchange.ts';
import {
  childOf,
  isDrawn,
  isSampled,
  isTraceparent,
  joinTrace,
  startTrace,
  Trace,
  unsampledHeader,
} from '../trace-context.ts';
import { readB3, removeB3, writeB3, type B3 } from './b3.ts';

const traceparent = 'traceparent';
const tracestate = 'tracestate';

export interface Sampling {
  /** 0 to 1: the share of calls that are sampled where no caller has decided. */
  readonly ratio: number;
  /** False: what comes next is told nothing of the trace. */
  readonly passesOn: boolean;
}

/**
 * Sets `x.trace` of a sampled call, and rewrites its headers so that our span is the parent of what comes
 * next. What a caller does not sample passes as it came. Callers' decisions are kept, W3C's before B3's.
 * @param forced sampled whatever anybody says
 */
export function continueTrace(x: Exchange, sampling: Sampling, forced: boolean): void {
  const { request } = x;
  const lines = request.values(traceparent);
  if (lines.length === 1 && isTraceparent(lines[0]!)) {
    const told = lines[0]!;
    if (forced || isSampled(told)) enter(x, joinTrace(told), readB3(request), sampling);
    else if (!sampling.passesOn) cut(request);
    return;
  }
  // A tracestate without its traceparent means nothing (W3C Trace Context, 3.3).
  if (lines.length > 0) request.remove(traceparent);
  if (request.values(tracestate).length > 0) request.remove(tracestate);
  const b3 = readB3(request);
  const decided = b3 === null ? null : b3.sampled;
  const sampled = forced || (decided ?? isDrawn(sampling.ratio));
  if (sampled) {
    const ofCaller = b3 !== null && b3.traceId !== '';
    enter(x, ofCaller ? childOf(b3.traceId, b3.spanId) : startTrace(), b3, sampling);
  } else if (!sampling.passesOn) {
    cut(request);
  } else {
    leaveOut(request, b3);
  }
}

function enter(x: Exchange, trace: Trace, b3: B3 | null, { passesOn }: Sampling): void {
  const { request } = x;
  x.trace = trace;
  if (!passesOn) {
    cut(request);
    return;
  }
  request.remove(traceparent);
  request.append(traceparent, trace.header());
  if (b3 !== null) writeB3(request, b3, trace);
}

/** Nobody records it: those who come next hear so in both languages. */
function leaveOut(request: RequestView, b3: B3 | null): void {
  if (b3 === null || b3.traceId === '') {
    request.append(traceparent, unsampledHeader());
    return;
  }
  request.append(traceparent, `00-${b3.traceId}-${b3.spanId}-00`);
  // Left to us: now it is decided.
  if (b3.sampled === null) writeB3(request, b3, new Trace(b3.traceId, b3.spanId, '', false));
}

function cut(request: RequestView): void {
  request.remove(traceparent);
  request.remove(tracestate);
  removeB3(request);
}
