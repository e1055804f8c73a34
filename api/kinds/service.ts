// Service (v1): names for ports of pods; its port names and appProtocol say what a port speaks.
import { z } from 'zod';

import type { Resource } from '../resource.ts';

export const servicePort = z.object({
  name: z.string().default(''),
  port: z.number().int().min(1).max(65535),
  /** The number, or the name of a container port; absent: the same as `port`. */
  targetPort: z.union([z.number().int().min(1).max(65535), z.string().min(1)]).optional(),
  protocol: z.string().default('TCP'),
  appProtocol: z.string().optional(),
});

export const serviceSpec = z.looseObject({
  type: z.string().default('ClusterIP'),
  selector: z.record(z.string(), z.string()).optional(),
  ports: z.array(servicePort).default([]),
  clusterIP: z.string().optional(),
  clusterIPs: z.array(z.string()).optional(),
  /** `IPv4`, `IPv6`; the first is the one that its first address has. */
  ipFamilies: z.array(z.string()).optional(),
  externalName: z.string().optional(),
});

/** A port of the kind Service, as written. Not a port of a snapshot's service. */
export type ServicePortSpec = z.infer<typeof servicePort>;
export type ServiceSpec = z.infer<typeof serviceSpec>;
export type ServiceResource = Resource<'Service', ServiceSpec>;
