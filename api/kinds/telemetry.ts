// Telemetry (telemetry.istio.io/v1, v1alpha1): what workloads tell of their traffic, by traces, metrics and access logs.
import { z } from 'zod';

import type { Resource } from '../resource.ts';
import { targetRef, workloadSelector } from './selector.ts';

const mode = z
  .enum(['CLIENT_AND_SERVER', 'CLIENT', 'SERVER'])
  .default('CLIENT_AND_SERVER')
  .describe(
    'Of calls that the workload makes (CLIENT), of those that come in (SERVER), or of both.',
  );

const providers = z
  .array(z.object({ name: z.string().min(1).describe('One of meshConfig.extensionProviders.') }))
  .optional()
  .describe('Where it goes; what the wider Telemetry or the mesh says, when left out.');

const matchMode = z.object({ mode }).optional().describe('Which calls this is for.');

const customTag = z
  .object({
    literal: z
      .object({ value: z.string().min(1).describe('The value.') })
      .optional()
      .describe('Always the same value.'),
    environment: z
      .object({
        name: z.string().min(1).describe("Name of a variable of the sidecar's environment."),
        defaultValue: z.string().default('').describe('Where it is not set.'),
      })
      .optional()
      .describe("A variable of the sidecar's environment."),
    header: z
      .object({
        name: z.string().min(1).describe('Name of a header of the request.'),
        defaultValue: z.string().default('').describe('Where it is not there.'),
      })
      .optional()
      .describe('A header of the request.'),
    formatter: z
      .object({ value: z.string().min(1).describe('As in access logs: %RESPONSE_CODE%.') })
      .optional()
      .describe("Text with the access log's operators."),
  })
  .describe('One tag of spans: it has one of these.');

const tracing = z
  .object({
    match: matchMode,
    providers,
    randomSamplingPercentage: z
      .number()
      .optional()
      .describe('Share of the calls without a trace that begin one, 0 to 100.'),
    disableSpanReporting: z.boolean().optional().describe('No span is reported.'),
    customTags: z
      .record(z.string(), customTag)
      .optional()
      .describe('Further tags by name. They replace those of a wider Telemetry, all of them.'),
    enableIstioTags: z.boolean().optional().describe('Whether spans have tags named istio.*.'),
    useRequestIdForTraceSampling: z
      .boolean()
      .optional()
      .describe('Has no effect: traces are sampled by their own id.'),
    disableContextPropagation: z
      .boolean()
      .optional()
      .describe('Headers of a trace are not passed on.'),
  })
  .describe('How calls are traced.');

/** Istio's names of its metrics. */
export const istioMetrics = [
  'REQUEST_COUNT',
  'REQUEST_DURATION',
  'REQUEST_SIZE',
  'RESPONSE_SIZE',
  'TCP_OPENED_CONNECTIONS',
  'TCP_CLOSED_CONNECTIONS',
  'TCP_SENT_BYTES',
  'TCP_RECEIVED_BYTES',
  'GRPC_REQUEST_MESSAGES',
  'GRPC_RESPONSE_MESSAGES',
] as const;

const override = z
  .object({
    match: z
      .object({
        metric: z
          .enum(['ALL_METRICS', ...istioMetrics])
          .optional()
          .describe("One of Istio's metrics; all of them, when left out."),
        customMetric: z
          .string()
          .min(1)
          .optional()
          .describe('Name of another metric; sidecars have none.'),
        mode,
      })
      .optional()
      .describe('Which metrics this is for; all, when left out.'),
    disabled: z.boolean().optional().describe('The metric is not made.'),
    tagOverrides: z
      .record(
        z.string(),
        z.object({
          operation: z
            .enum(['UPSERT', 'REMOVE'])
            .default('UPSERT')
            .describe('Whether the label is set or left out.'),
          value: z.string().default('').describe('CEL for its value, as request.host.'),
        }),
      )
      .optional()
      .describe('Labels by name.'),
  })
  .describe('What is changed of some metrics.');

const metrics = z
  .object({
    providers,
    overrides: z.array(override).optional().describe('In order: the later one counts.'),
    reportingInterval: z
      .string()
      .optional()
      .describe('Has no effect: bytes of open connections are counted at each scrape.'),
  })
  .describe('Which metrics are made, with which labels.');

const accessLogging = z
  .object({
    match: matchMode,
    providers,
    disabled: z.boolean().optional().describe('Nothing is logged there.'),
    filter: z
      .object({
        expression: z.string().default('').describe('CEL, as response.code >= 400.'),
      })
      .optional()
      .describe('Only calls for which it is true are logged.'),
  })
  .describe('Which calls are logged, and where.');

export const telemetrySpec = z.object({
  selector: workloadSelector.optional(),
  targetRef: targetRef.optional(),
  targetRefs: z.array(targetRef).optional().describe('Sidecars ignore whatever has one.'),
  tracing: z.array(tracing).optional().describe('In order: the later one counts.'),
  metrics: z.array(metrics).optional().describe('In order: the later one counts.'),
  accessLogging: z.array(accessLogging).optional().describe('In order: the later one counts.'),
});

export type TelemetrySpec = z.infer<typeof telemetrySpec>;
export type TelemetryTracing = z.infer<typeof tracing>;
export type TelemetryMetrics = z.infer<typeof metrics>;
export type TelemetryLogging = z.infer<typeof accessLogging>;
export type TelemetryTag = z.infer<typeof customTag>;
export type TelemetryMode = z.infer<typeof mode>;
export type Telemetry = Resource<'Telemetry', TelemetrySpec>;
