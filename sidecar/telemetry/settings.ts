// Settings of tracing: where spans go, how many calls are traced, who may ask for it.
import { anyText, boolean, fraction, list } from '#runtime/setting-types.ts';
import { Wanted } from '#runtime/settings.ts';

import { readOtlpEndpoint } from './otlp/target.ts';

export const tracingFields = [
  {
    name: 'otlpEndpoint',
    env: 'SELVAGE_OTLP_ENDPOINT',
    parse: otlpEndpoint,
    default: '',
    doc: 'OTLP collector, http://host:4318 or grpc://host:4317 (https, grpcs: TLS); empty: no tracing',
  },
  {
    name: 'traceSampling',
    env: 'SELVAGE_TRACE_SAMPLING',
    parse: fraction,
    default: '0.01',
    doc: 'part of the calls that are traced',
  },
  {
    name: 'traceContext',
    env: 'SELVAGE_TRACE_CONTEXT',
    parse: boolean,
    default: 'false',
    doc: 'calls have a trace also where no collector takes spans: logs, taps and the dashboard name it',
  },
  {
    name: 'traceDebugIdentities',
    env: 'SELVAGE_TRACE_DEBUG_IDENTITIES',
    parse: list(',', anyText),
    default: '',
    doc: 'principals whose calls are traced when they say x-selvage-trace: on, as cluster.local/ns/shop/*',
  },
] as const;

/** A variable of the sidecar's environment, which a custom tag of Telemetry may name. */
export function environmentVariable(name: string): string | undefined {
  return process.env[name];
}

function otlpEndpoint(text: string): string {
  if (text !== '' && readOtlpEndpoint(text) === null) {
    throw new Wanted(
      'a URL like http://collector:4318 or grpc://collector:4317, without credentials',
    );
  }
  return text;
}
