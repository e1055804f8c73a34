// What Telemetry resources change of the standard metrics, compiled: which are counted, and with which labels.
import type { MetricOverride } from '#api/telemetry.ts';

import type { CelProgram } from '../cel/compile.ts';
import type { CelSubject } from '../cel/scope.ts';
import { celText } from '../cel/text.ts';
import type { CelResult } from '../cel/values.ts';
import { nothingWanted, wantedBoth, type WantedOfAnswers } from './kept-answer.ts';
import type { SeriesLabels } from './series.ts';
import { unknown } from './workload-labels.ts';

/** An expression for the value of a label. */
export type LabelProgram = Pick<CelProgram, 'evaluate' | 'wanted'>;
export type CompileCel = (text: string) => LabelProgram;

/** Metrics with the same labels, and how these differ from the standard ones. */
export interface MetricGroup {
  /** Bits in the order of the table's metrics. */
  readonly shown: number;
  readonly removed: readonly string[];
  /** Set or added, by values of the call or the connection. */
  readonly set: readonly (readonly [label: string, value: LabelProgram])[];
}

export interface MetricPlan {
  readonly http: readonly MetricGroup[];
  readonly grpc: readonly MetricGroup[];
  readonly tcp: readonly MetricGroup[];
}

/** Istio's names, in the order of the bits. */
export const metricNames = {
  http: ['REQUEST_COUNT', 'REQUEST_DURATION', 'REQUEST_SIZE', 'RESPONSE_SIZE'],
  grpc: ['GRPC_REQUEST_MESSAGES', 'GRPC_RESPONSE_MESSAGES'],
  tcp: ['TCP_OPENED_CONNECTIONS', 'TCP_CLOSED_CONNECTIONS', 'TCP_SENT_BYTES', 'TCP_RECEIVED_BYTES'],
} as const;

/** Characters of a value that an expression gave. */
export const tagCharsMax = 128;

/** What cannot be compiled has no value for any call. */
const valueless: LabelProgram = { evaluate: () => undefined, wanted: nothingWanted };

/** Nothing is said: every metric as it is. */
export const standardPlan: MetricPlan = planMetrics([], () => valueless);

/** @param overrides a later one replaces what an earlier one says of the same metric and tag */
export function planMetrics(overrides: readonly MetricOverride[], compile: CompileCel): MetricPlan {
  const plan = (names: readonly string[]): MetricGroup[] => groupsOf(names, overrides, compile);
  return {
    http: plan(metricNames.http),
    grpc: plan(metricNames.grpc),
    tcp: plan(metricNames.tcp),
  };
}

/** What labels want kept of answers. */
export function wantedBy({ http, grpc }: MetricPlan): WantedOfAnswers {
  return [...http, ...grpc]
    .flatMap(({ set }) => set.map(([, { wanted }]) => wanted))
    .reduce(wantedBoth, nothingWanted);
}

/** @param of what expressions look at; null: the group has none */
export function labelsIn(
  group: MetricGroup,
  standard: SeriesLabels,
  of: CelSubject | null,
): SeriesLabels {
  if (group.removed.length === 0 && group.set.length === 0) return standard;
  const labels: Record<string, string> = { ...standard };
  for (const label of group.removed) delete labels[label];
  for (const [label, value] of group.set) {
    labels[label] = of === null ? unknown : tagText(value.evaluate(of));
  }
  return labels;
}

function groupsOf(
  names: readonly string[],
  overrides: readonly MetricOverride[],
  compile: CompileCel,
): MetricGroup[] {
  const groups = new Map<string, { tags: Map<string, string | null>; shown: number }>();
  names.forEach((name, bit) => {
    const tags = new Map<string, string | null>();
    let disabled = false;
    for (const override of overrides) {
      if (override.metric !== name && override.metric !== 'ALL_METRICS') continue;
      disabled = override.disabled ?? disabled;
      for (const [tag, value] of Object.entries(override.tags ?? {})) tags.set(tag, value);
    }
    if (disabled) return;
    const key = JSON.stringify([...tags].toSorted(([a], [b]) => (a < b ? -1 : 1)));
    const group = groups.get(key) ?? { tags, shown: 0 };
    group.shown |= 1 << bit;
    groups.set(key, group);
  });
  return [...groups.values()].map(({ tags, shown }) => groupOf(shown, [...tags], compile));
}

function groupOf(
  shown: number,
  tags: readonly (readonly [string, string | null])[],
  compile: CompileCel,
): MetricGroup {
  const removed = tags.flatMap(([tag, value]) => (value === null ? [tag] : []));
  const set = tags.flatMap(([tag, value]) => {
    const label = labelName(tag);
    return value === null || label === '' ? [] : [[label, compiled(value, compile)] as const];
  });
  return { shown, removed, set };
}

/** Control lets only valid ones through; of another version's it may be otherwise. */
function compiled(text: string, compile: CompileCel): LabelProgram {
  try {
    return compile(text);
  } catch {
    return valueless;
  }
}

/** One wrong name would make the whole page unreadable. `le` is the histograms' own, `__` Prometheus' own. */
function labelName(tag: string): string {
  const name = tag.replaceAll(/\W/g, '_').replace(/^(?=\d)/, '_');
  return name === 'le' || name.startsWith('__') ? '' : name;
}

function tagText(value: CelResult): string {
  const text = celText(value) ?? unknown;
  // A copy: a slice would keep all of it.
  return text.length <= tagCharsMax ? text : Buffer.from(text.slice(0, tagCharsMax)).toString();
}
