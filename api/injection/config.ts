// What the injector of a cluster adds, where the pod itself does not say otherwise; the same for `selvage inject`.
import { systemNamespace } from './names.ts';

export interface InjectionConfig {
  readonly image: string;
  readonly imagePullPolicy: PullPolicy;
  /** Of the injector; `selvage doctor` compares it with what runs. */
  readonly version: string;
  /** https URLs. */
  readonly ca: string;
  readonly control: string;
  /** Kubernetes quantities; '' leaves the field out. */
  readonly cpuRequest: string;
  readonly memoryRequest: string;
  readonly cpuLimit: string;
  readonly memoryLimit: string;
  readonly logLevel: LogLevel;
  readonly accessLogFormat: AccessLogFormat;
  /** '' is no tracing. */
  readonly otlpEndpoint: string;
  /** 0 to 1, as text; '' leaves it to the sidecar. */
  readonly traceSampling: string;
  /** Principals whose calls are traced when they ask for it by a header, separated by commas. */
  readonly traceDebugIdentities: string;
  readonly capture: Capture;
  readonly concurrency: number;
  readonly drainTimeoutMs: number;
  /** Whether the application's questions for names come to the sidecar. */
  readonly dnsCapture: boolean;
}

export const pullPolicies = ['Always', 'IfNotPresent', 'Never'] as const;
export const logLevels = ['debug', 'info', 'warn', 'error', 'silent'] as const;
export const accessLogFormats = ['text', 'json'] as const;
export const captures = ['transparent', 'explicit'] as const;

export type PullPolicy = (typeof pullPolicies)[number];
export type LogLevel = (typeof logLevels)[number];
export type AccessLogFormat = (typeof accessLogFormats)[number];
export type Capture = (typeof captures)[number];

/** Requests and limits are Istio's. */
export function defaultInjection(version: string): InjectionConfig {
  return {
    image: `selvage/selvage:${version}`,
    imagePullPolicy: 'IfNotPresent',
    version,
    ca: `https://selvage-ca.${systemNamespace}.svc:15012`,
    control: `https://selvage-control.${systemNamespace}.svc:15011`,
    cpuRequest: '100m',
    memoryRequest: '128Mi',
    cpuLimit: '2000m',
    memoryLimit: '1024Mi',
    logLevel: 'info',
    // Istio's is text; JSON has what no text format has room for: why a call was denied.
    accessLogFormat: 'json',
    otlpEndpoint: '',
    traceSampling: '',
    traceDebugIdentities: '',
    capture: 'transparent',
    concurrency: 1,
    drainTimeoutMs: 5000,
    dnsCapture: false,
  };
}
