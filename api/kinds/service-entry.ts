// ServiceEntry (networking.istio.io): a service that no Service of the cluster names, as an
// external authorizer.
import { z } from 'zod';

import type { Resource } from '../resource.ts';
import { workloadEntrySpec } from './workload-entry.ts';

const port = z.number().int().min(0).max(65535);

export const serviceEntrySpec = z.object({
  hosts: z.array(z.string()).min(1).describe('Names that the service is called by.'),
  addresses: z
    .array(z.string())
    .default([])
    .describe(
      'Virtual addresses or CIDRs of the service. Without any, each host that is no wildcard gets one of 240.240.0.0/16, but for the resolution NONE; the label networking.istio.io/enable-autoallocate-ip: "false" keeps them without.',
    ),
  ports: z
    .array(
      z.object({
        number: port.describe('The port that is called.'),
        name: z.string().default('').describe('Name of the port, by which endpoints refer to it.'),
        protocol: z.string().default('').describe('HTTP, HTTPS, HTTP2, GRPC, MONGO, TCP or TLS.'),
        targetPort: port.optional().describe('The port of the endpoints, where it differs.'),
      }),
    )
    .default([])
    .describe('Ports of the service.'),
  location: z
    .enum(['MESH_EXTERNAL', 'MESH_INTERNAL'])
    .default('MESH_EXTERNAL')
    .describe('Whether the endpoints have sidecars.'),
  resolution: z
    .enum(['NONE', 'STATIC', 'DNS', 'DNS_ROUND_ROBIN', 'DYNAMIC_DNS'])
    .default('NONE')
    .describe('How addresses of the service are found.'),
  endpoints: z.array(workloadEntrySpec).default([]).describe('Where the service is.'),
  workloadSelector: z
    .object({
      labels: z.record(z.string(), z.string()).default({}).describe('Labels that they all have.'),
    })
    .optional()
    .describe('Pods that are the endpoints, in place of a list.'),
  exportTo: z
    .array(z.string())
    .default([])
    .describe('Namespaces that see it: "." its own, "*" all.'),
  subjectAltNames: z
    .array(z.string())
    .default([])
    .describe('Names that certificates of the endpoints may have.'),
});

export type ServiceEntrySpec = z.infer<typeof serviceEntrySpec>;
export type ServiceEntry = Resource<'ServiceEntry', ServiceEntrySpec>;
