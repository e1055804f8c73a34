// WorkloadEntry (networking.istio.io): a workload outside of the cluster, selected by Services and ServiceEntries as pods are.
import { z } from 'zod';

import type { Resource } from '../resource.ts';

const port = z.number().int().min(0).max(65535);

export const workloadEntrySpec = z.object({
  address: z.string().default('').describe('An IP address, or with resolution DNS a name.'),
  ports: z
    .record(z.string(), port)
    .optional()
    .describe('Ports of this endpoint, by the name of the port.'),
  labels: z.record(z.string(), z.string()).default({}).describe('Labels of this endpoint.'),
  network: z.string().optional().describe('Network that the endpoint is in.'),
  locality: z.string().optional().describe('Where it is, as region/zone/subzone.'),
  weight: z.number().int().min(0).optional().describe('Its share of calls, beside the others.'),
  serviceAccount: z.string().optional().describe('The service account that it runs as.'),
});

export type WorkloadEntrySpec = z.infer<typeof workloadEntrySpec>;
export type WorkloadEntry = Resource<'WorkloadEntry', WorkloadEntrySpec>;
