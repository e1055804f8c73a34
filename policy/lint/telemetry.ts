// Telemetry that names providers which nobody knows or which take nothing from sidecars, and several where one counts.
import type { MeshConfig, ExtensionProvider } from '#api/kinds/mesh-config.ts';
import type { Telemetry } from '#api/kinds/telemetry.ts';
import { joinIndex, nameOf } from '#api/origin.ts';
import type { Problem } from '#api/problem.ts';
import { nearest } from '#api/spelling.ts';

import { type LintContext, warning } from './context.ts';

type Field = 'tracing' | 'metrics' | 'accessLogging';

/** What sidecars serve of each, and what Istio has built in. */
const served: Readonly<
  Record<Field, { provider: keyof ExtensionProvider; what: string; builtIn: string | null }>
> = {
  tracing: { provider: 'opentelemetry', what: 'spans', builtIn: null },
  metrics: { provider: 'prometheus', what: 'metrics', builtIn: 'prometheus' },
  accessLogging: { provider: 'envoyFileAccessLog', what: 'logs', builtIn: 'envoy' },
};
const fields = ['tracing', 'metrics', 'accessLogging'] as const;

export function checkTelemetry({ mesh }: LintContext): Problem[] {
  const { telemetries, meshConfig } = mesh;
  return telemetries.flatMap((one) => [
    ...fields.flatMap((field) => providerProblems(one, field, meshConfig)),
    ...rivals(one, telemetries),
  ]);
}

function providerProblems(
  telemetry: Telemetry,
  field: Field,
  { extensionProviders }: MeshConfig,
): Problem[] {
  const { provider, what, builtIn } = served[field];
  return (telemetry.spec[field] ?? []).flatMap(({ providers = [] }, i) =>
    providers.flatMap(({ name }, j): Problem[] => {
      const lower = name.toLowerCase();
      const path = `${joinIndex(joinIndex(`spec.${field}`, i) + '.providers', j)}.name`;
      const found = extensionProviders.find((one) => one.name.toLowerCase() === lower);
      if (found === undefined && lower === builtIn) return [];
      if (found !== undefined && found[provider] !== undefined) return [];
      const code = found === undefined ? 'provider-unknown' : 'provider-unserved';
      const message =
        found === undefined
          ? `there is no extension provider "${name}": no ${what} go there`
          : `sidecars send no ${what} to "${name}": it is no ${provider}`;
      const similar = nearest(
        name,
        extensionProviders.map((one) => one.name),
      );
      const add = `add it to meshConfig.extensionProviders, as ${provider}`;
      const mend = found === undefined && similar !== null ? `did you mean ${similar}?` : add;
      return [warning(telemetry, { code, path, message, mend })];
    }),
  );
}

/** One of a namespace counts, and one of a workload's labels: the oldest. */
function rivals(telemetry: Telemetry, all: readonly Telemetry[]): Problem[] {
  const key = keyOf(telemetry);
  const first = all.find((one) => keyOf(one) === key);
  if (first === undefined || first === telemetry) return [];
  const labels = Object.keys(telemetry.spec.selector?.matchLabels ?? {}).length > 0;
  return [
    warning(telemetry, {
      code: 'telemetry-shadowed',
      path: labels ? 'spec.selector' : 'metadata.name',
      message: `${nameOf(first)} is for the same workloads and is older: this one has no effect`,
      mend: 'put both into one',
    }),
  ];
}

function keyOf({ metadata, spec }: Telemetry): string {
  const labels = Object.entries(spec.selector?.matchLabels ?? {}).toSorted(([a], [b]) =>
    a < b ? -1 : 1,
  );
  return JSON.stringify([metadata.namespace, labels]);
}
