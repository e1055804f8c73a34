// What a workload tells of its traffic: what Istio's Telemetry resources and the mesh's settings come to, for each direction.
// Control resolves them (mesh -> namespace -> workload, providers by name); the sidecar only does as it is told.

export interface TelemetrySettings {
  /** Of what comes in: Istio's mode SERVER. */
  readonly inbound: DirectionTelemetry;
  /** Of what the application calls: Istio's mode CLIENT. */
  readonly outbound: DirectionTelemetry;
}

/** What is left out is said by nobody: the sidecar's own settings count. */
export interface DirectionTelemetry {
  readonly tracing?: TracingSettings;
  /** Empty: nothing is logged. */
  readonly logs?: readonly AccessLogSettings[];
  /** In the order in which they count: a later one replaces what an earlier one says of the same metric and tag. */
  readonly metrics?: readonly MetricOverride[];
}

export interface TracingSettings {
  /** Left out: the sidecar's own endpoint. */
  readonly provider?: TraceProvider;
  /** Istio's randomSamplingPercentage, 0 to 100; left out: the sidecar's own share. */
  readonly samplingPercent?: number;
  /** No span is reported; headers pass on as they came (disableSpanReporting). */
  readonly disabled?: true;
  /** Headers of a trace are not passed on (disableContextPropagation). */
  readonly withoutPropagation?: true;
  /** Without `istio.*` tags (enableIstioTags: false). */
  readonly withoutIstioTags?: true;
  readonly tags?: readonly CustomTag[];
}

/** An OpenTelemetry collector (meshConfig.extensionProviders[].opentelemetry). */
export interface TraceProvider {
  readonly name: string;
  readonly protocol: 'http' | 'grpc';
  /** Host of a Service or another name: `jaeger.tracing.svc.cluster.local`. */
  readonly host: string;
  readonly port: number;
  /** Of OTLP over HTTP: `/v1/traces`. */
  readonly path?: string;
  readonly headers?: readonly (readonly [name: string, value: string])[];
  readonly timeoutMs?: number;
  /** Longer values of tags are cut; 256 where it is left out (maxTagLength). */
  readonly tagCharsMax?: number;
}

/** Telemetry's customTags. */
export type CustomTag =
  | { readonly name: string; readonly kind: 'literal'; readonly value: string }
  /** A variable of the sidecar's own environment. */
  | {
      readonly name: string;
      readonly kind: 'environment';
      readonly variable: string;
      readonly otherwise: string;
    }
  /** A header of the request, lower-case. */
  | {
      readonly name: string;
      readonly kind: 'header';
      readonly header: string;
      readonly otherwise: string;
    }
  /** Text with the access log's operators: `%RESPONSE_CODE%`. */
  | { readonly name: string; readonly kind: 'formatter'; readonly format: string };

export interface AccessLogSettings {
  /** The provider's name: `envoy`. */
  readonly provider: string;
  /** `/dev/stdout`, or a file; '': where the sidecar's own setting says. */
  readonly path: string;
  /** Left out: the sidecar's own form. */
  readonly format?:
    | { readonly kind: 'text'; /** Left out: Istio's own. */ readonly text?: string }
    | {
        readonly kind: 'json';
        /** Left out: Istio's own keys. */ readonly fields?: Readonly<Record<string, string>>;
      };
  /** CEL over Envoy's attributes: only calls for which it is true are logged. */
  readonly filter?: string;
}

export interface MetricOverride {
  /** Prometheus' name without `istio_` and `_total` in upper case, as Istio names it: `REQUEST_COUNT`; `ALL_METRICS`: each. */
  readonly metric: string;
  readonly disabled?: boolean;
  /** Null: the label is left out; else CEL for its value. */
  readonly tags?: Readonly<Record<string, string | null>>;
}
