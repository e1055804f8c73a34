// Makes a waterfall of the calls of one trace: records of sidecars have no span ids, but times and parties.
import type { CallRecord } from '#api/call-record.ts';

export interface Span {
  readonly record: CallRecord;
  readonly startMs: number;
  readonly endMs: number;
  /** How deep it is nested. */
  readonly depth: number;
}

/** Records have whole milliseconds, and clocks of two pods differ a little. */
const toleranceMs = 3;

interface Node {
  readonly record: CallRecord;
  readonly startMs: number;
  readonly endMs: number;
  readonly children: Node[];
  /** An outbound call arrives once. */
  hasArrived: boolean;
}

/** As they are to be shown: callers before what they called, else by time. */
export function spansOf(records: readonly CallRecord[]): Span[] {
  const nodes = records.map(nodeOf).toSorted(byStart);
  const roots: Node[] = [];
  for (const [i, node] of nodes.entries()) {
    // Only one that began before can be around it, so there is no circle.
    const around = nodes.slice(0, i).findLast((other) => isAround(other, node));
    if (around === undefined) {
      roots.push(node);
      continue;
    }
    around.children.push(node);
    if (around.record.reporter === 'outbound') around.hasArrived = true;
  }
  return roots.flatMap((root) => flat(root, 0));
}

function nodeOf(record: CallRecord): Node {
  const startMs = Date.parse(record.at);
  return { record, startMs, endMs: startMs + record.durationMs, children: [], hasArrived: false };
}

/** The longer one first, then the caller's side: it is around the other. */
function byStart(a: Node, b: Node): number {
  if (Math.abs(a.startMs - b.startMs) > 1) return a.startMs - b.startMs;
  if (a.record.reporter !== b.record.reporter && isSameCall(a.record, b.record)) {
    return a.record.reporter === 'outbound' ? -1 : 1;
  }
  return b.endMs - b.startMs - (a.endMs - a.startMs);
}

function isAround(outer: Node, inner: Node): boolean {
  if (inner.startMs < outer.startMs - toleranceMs) return false;
  if (inner.endMs > outer.endMs + toleranceMs) return false;
  if (inner.record.reporter === 'inbound') {
    return (
      outer.record.reporter === 'outbound' &&
      !outer.hasArrived &&
      isSameCall(outer.record, inner.record)
    );
  }
  return (
    outer.record.reporter === 'inbound' &&
    isSameWorkload(outer.record.destination, inner.record.source)
  );
}

function isSameCall(a: CallRecord, b: CallRecord): boolean {
  return a.method === b.method && isSameWorkload(a.destination, b.destination);
}

function isSameWorkload(a: CallRecord['source'], b: CallRecord['source']): boolean {
  return a.workload === b.workload && a.namespace === b.namespace;
}

function flat({ record, startMs, endMs, children }: Node, depth: number): Span[] {
  return [
    { record, startMs, endMs, depth },
    ...children.flatMap((child) => flat(child, depth + 1)),
  ];
}
