// ServiceEntry (networking.istio.io): a service that no Service of the cluster names, as an
// external authorizer.
import { z } from 'zod';

import type { Resource } from '../resource.ts';

const port = z.number().int().min(0).max(65535);

export const workloadEntry = z.object({
  address: z.string().default(''),
  ports: z.record(z.string(), port).optional(),
  labels: z.record(z.string(), z.string()).default({}),
  network: z.string().optional(),
  locality: z.string().optional(),
  weight: z.number().int().optional(),
  serviceAccount: z.string().optional(),
});

export const serviceEntrySpec = z.object({
  hosts: z.array(z.string()).min(1),
  addresses: z.array(z.string()).default([]),
  ports: z
    .array(
      z.object({
        number: port,
        name: z.string().default(''),
        protocol: z.string().default(''),
        targetPort: port.optional(),
      }),
    )
    .default([]),
  location: z.enum(['MESH_EXTERNAL', 'MESH_INTERNAL']).default('MESH_EXTERNAL'),
  resolution: z.enum(['NONE', 'STATIC', 'DNS', 'DNS_ROUND_ROBIN', 'DYNAMIC_DNS']).default('NONE'),
  endpoints: z.array(workloadEntry).default([]),
  workloadSelector: z.object({ labels: z.record(z.string(), z.string()).default({}) }).optional(),
  exportTo: z.array(z.string()).default([]),
  subjectAltNames: z.array(z.string()).default([]),
});

export type WorkloadEntry = z.infer<typeof workloadEntry>;
export type ServiceEntrySpec = z.infer<typeof serviceEntrySpec>;
export type ServiceEntry = Resource<'ServiceEntry', ServiceEntrySpec>;
