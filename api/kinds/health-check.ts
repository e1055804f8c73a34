// HealthCheck (selvage.dev): callers of a host ask its endpoints whether they are well, and leave out those that are not.
import { z } from 'zod';

import type { Resource } from '../resource.ts';

const threshold = z.number().int().min(0).max(1000);

export const healthCheckSpec = z.object({
  host: z
    .string()
    .default('')
    .describe("What is called, as in DestinationRule; a short name is of the check's namespace."),
  interval: z.string().default('10s').describe('Time between questions to one endpoint.'),
  timeout: z.string().default('2s').describe('No answer in that time is a bad one.'),
  healthyThreshold: threshold.default(1).describe('Good answers in a row until it is called.'),
  unhealthyThreshold: threshold.default(3).describe('Bad answers in a row until it is not.'),
  http: z
    .object({
      path: z.string().default('/').describe('What is asked for.'),
      host: z.string().default('').describe('The Host header; the host of the check without.'),
      expectedStatuses: z
        .array(z.union([z.number().int().min(100).max(599), z.string()]))
        .default([])
        .describe('Good answers, as 200 or "200-299", which they are without.'),
    })
    .optional()
    .describe('Asks by GET.'),
  tcp: z.object({}).optional().describe('Asks by opening a connection.'),
  grpc: z
    .object({
      serviceName: z.string().default('').describe('The service asked about; the server without.'),
    })
    .optional()
    .describe("Asks by gRPC's health protocol."),
});

export type HealthCheckSpec = z.infer<typeof healthCheckSpec>;
export type HealthCheck = Resource<'HealthCheck', HealthCheckSpec>;
