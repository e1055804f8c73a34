// How calls of one side are traced: each resource changes what it names of what wider ones say, as in Istio.
import type { ExtensionProvider, MeshConfig } from '#api/kinds/mesh-config.ts';
import type { TelemetryTag, TelemetryTracing } from '#api/kinds/telemetry.ts';
import type { CustomTag, TraceProvider, TracingSettings } from '#api/telemetry.ts';

import { millis } from '../traffic/durations.ts';
import { providerOf } from './providers.ts';
import { isFor, type Side } from './telemetries.ts';

/** Null: nothing is said. */
export function tracingOf(
  side: Side,
  list: readonly TelemetryTracing[],
  mesh: MeshConfig,
): TracingSettings | null {
  const applied = list.filter(({ match }) => isFor(side, match));
  const named =
    applied.findLast(({ providers = [] }) => providers.length > 0)?.providers?.[0]?.name ??
    mesh.defaultProviders?.tracing[0];
  const last = <K extends keyof TelemetryTracing>(field: K): TelemetryTracing[K] | undefined =>
    applied.findLast((one) => one[field] !== undefined)?.[field];
  const samplingPercent = last('randomSamplingPercentage') ?? mesh.defaultConfig?.tracing?.sampling;
  if (applied.length === 0 && named === undefined && samplingPercent === undefined) return null;
  const provider = named === undefined ? null : collectorOf(providerOf(named, mesh));
  const isLost = named !== undefined && provider === null;
  const tags = Object.entries(last('customTags') ?? {}).map(([name, tag]) => tagOf(name, tag));
  return {
    ...(provider !== null && { provider }),
    ...(samplingPercent !== undefined && { samplingPercent }),
    // As in Istio, spans for a provider that is not there go nowhere.
    ...((isLost || last('disableSpanReporting') === true) && { disabled: true }),
    ...(last('disableContextPropagation') === true && { withoutPropagation: true }),
    ...(last('enableIstioTags') === false && { withoutIstioTags: true }),
    ...(tags.length > 0 && { tags }),
  };
}

/** Null: it takes no spans that we send. */
function collectorOf(provider: ExtensionProvider | null): TraceProvider | null {
  const collector = provider?.opentelemetry;
  if (provider === null || collector === undefined) return null;
  const { service, port, maxTagLength, http, grpc } = collector;
  const timeoutMs = millis((http ?? grpc)?.timeout);
  const headers = (http?.headers ?? grpc?.initialMetadata ?? []).flatMap(({ name, value }) =>
    value === undefined ? [] : [[name.toLowerCase(), value] as const],
  );
  return {
    name: provider.name,
    protocol: http === undefined ? 'grpc' : 'http',
    // `namespace/host` says where Istio finds the host; the host is the same.
    host: service.replace(/^[^/]*\//, '').toLowerCase(),
    port,
    ...(http?.path !== undefined && { path: http.path }),
    ...(headers.length > 0 && { headers }),
    ...(timeoutMs !== undefined && { timeoutMs }),
    ...(maxTagLength !== undefined && { tagCharsMax: maxTagLength }),
  };
}

function tagOf(name: string, tag: TelemetryTag): CustomTag {
  const { literal, environment, header, formatter } = tag;
  if (environment !== undefined) {
    const { name: variable, defaultValue: otherwise } = environment;
    return { name, kind: 'environment', variable, otherwise };
  }
  if (header !== undefined) {
    const { name: own, defaultValue: otherwise } = header;
    return { name, kind: 'header', header: own.toLowerCase(), otherwise };
  }
  if (formatter !== undefined) return { name, kind: 'formatter', format: formatter.value };
  return { name, kind: 'literal', value: literal?.value ?? '' };
}
