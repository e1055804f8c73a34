// Which metrics of one side are made, and with which labels: what is said of Prometheus, the one provider that sidecars serve.
import type { MeshConfig } from '#api/kinds/mesh-config.ts';
import { istioMetrics, type TelemetryMetrics } from '#api/kinds/telemetry.ts';
import type { MetricOverride } from '#api/telemetry.ts';

import { prometheus, providerOf } from './providers.ts';
import { isFor, type Side } from './telemetries.ts';

type Override = NonNullable<TelemetryMetrics['overrides']>[number];

/** Of each metric of which something is said, at most one; in their order. */
export function metricsOf(
  side: Side,
  list: readonly TelemetryMetrics[],
  mesh: MeshConfig,
): MetricOverride[] {
  const byMetric = new Map<string, { disabled?: boolean; tags: Record<string, string | null> }>();
  let allDisabled = false;
  for (const override of ofPrometheus(list, mesh)) {
    const { match, disabled, tagOverrides = {} } = override;
    if (match?.metric === 'ALL_METRICS' && disabled === true) {
      allDisabled = true;
      continue;
    }
    // As in Istio: what a narrower one says of any metric takes "none at all" back.
    allDisabled = false;
    if (!isFor(side, match)) continue;
    for (const metric of namesOf(match)) {
      const known = byMetric.get(metric) ?? { tags: {} };
      if (disabled !== undefined) known.disabled = disabled;
      for (const [tag, { operation, value }] of Object.entries(tagOverrides)) {
        known.tags[tag] = operation === 'REMOVE' ? null : value;
      }
      byMetric.set(metric, known);
    }
  }
  if (allDisabled) return [{ metric: 'ALL_METRICS', disabled: true }];
  return [...byMetric]
    .map(([metric, { disabled, tags }]) => ({
      metric,
      ...(disabled === true && { disabled }),
      ...(Object.keys(tags).length > 0 && { tags }),
    }))
    .filter((one) => Object.keys(one).length > 1)
    .toSorted((a, b) => (a.metric < b.metric ? -1 : 1));
}

/** Those in the scope of a provider of Prometheus' metrics: the last that names providers says which count. */
function ofPrometheus(list: readonly TelemetryMetrics[], mesh: MeshConfig): Override[] {
  const isPrometheus = (name: string) => providerOf(name, mesh)?.prometheus !== undefined;
  const declared = mesh.defaultProviders?.metrics ?? [];
  // Istio's installations name it; a mesh that says nothing has it all the same.
  const defaults = declared.length === 0 ? [prometheus] : declared;
  const scope = list.map(providerNames).findLast((names) => names.length > 0) ?? defaults;
  let inherited: readonly string[] = defaults;
  return list.flatMap((one) => {
    const names = providerNames(one);
    if (names.length > 0) inherited = names;
    const counts = inherited.some((name) => scope.includes(name) && isPrometheus(name));
    return counts ? (one.overrides ?? []) : [];
  });
}

function providerNames({ providers = [] }: TelemetryMetrics): string[] {
  return providers.map(({ name }) => name);
}

function namesOf(match: Override['match']): readonly string[] {
  if (match?.customMetric !== undefined) return [];
  const metric = match?.metric ?? 'ALL_METRICS';
  return metric === 'ALL_METRICS' ? istioMetrics : [metric];
}
