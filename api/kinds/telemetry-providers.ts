// Where telemetry goes: the extensionProviders of Istio's MeshConfig that Telemetry names.
import { z } from 'zod';

import { port } from './mesh-port.ts';

/** Values by name; one from a variable of the environment (`envName`) cannot be had, and is left out. */
const headers = z
  .array(z.object({ name: z.string().min(1), value: z.string().optional() }))
  .optional();

/** An access log's form: text with operators, or an object of such texts. */
const logFormat = z
  .object({
    text: z.string().optional(),
    labels: z.record(z.string(), z.unknown()).optional(),
  })
  .optional();

export const telemetryProviders = {
  opentelemetry: z
    .object({
      service: z.string(),
      port,
      maxTagLength: z.number().int().min(1).optional(),
      http: z
        .object({
          path: z.string().optional(),
          /** Go duration. */
          timeout: z.string().optional(),
          headers,
        })
        .optional(),
      grpc: z
        .object({
          timeout: z.string().optional(),
          initialMetadata: headers,
        })
        .optional(),
    })
    .optional(),
  envoyFileAccessLog: z.object({ path: z.string().default('/dev/stdout'), logFormat }).optional(),
  prometheus: z.object({}).optional(),
  /** Known, and not served: spans and logs for them go nowhere, and `check` says so. */
  zipkin: z.object({}).optional(),
  lightstep: z.object({}).optional(),
  datadog: z.object({}).optional(),
  skywalking: z.object({}).optional(),
  stackdriver: z.object({}).optional(),
  opencensus: z.object({}).optional(),
  envoyOtelAls: z.object({}).optional(),
  envoyHttpAls: z.object({}).optional(),
  envoyTcpAls: z.object({}).optional(),
} as const;
