// EndpointSlice (discovery.k8s.io/v1): addresses behind a Service, and which of them take calls now.
import { z } from 'zod';

import type { Resource } from '../resource.ts';

const conditions = z.looseObject({
  /** Absent means true. */
  ready: z.boolean().optional(),
  /** Absent means as `ready`. */
  serving: z.boolean().optional(),
  terminating: z.boolean().optional(),
});

const sliceEndpoint = z.looseObject({
  /** Only the first one has a meaning. */
  addresses: z.array(z.string()).default([]),
  conditions: conditions.prefault({}),
  nodeName: z.string().optional(),
  zone: z.string().optional(),
  targetRef: z
    .looseObject({
      kind: z.string().default(''),
      namespace: z.string().default(''),
      name: z.string().default(''),
      uid: z.string().optional(),
    })
    .optional(),
});

const slicePort = z.looseObject({
  name: z.string().default(''),
  /** Absent: every port. */
  port: z.number().int().min(1).max(65535).optional(),
  protocol: z.string().default('TCP'),
});

/** The kind has no `spec`: these are fields of the document itself. */
export const endpointSliceSpec = z.looseObject({
  addressType: z.string().default('IPv4'),
  endpoints: z.array(sliceEndpoint).default([]),
  ports: z.array(slicePort).default([]),
});

/** Label that names the Service of a slice. */
export const serviceNameLabel = 'kubernetes.io/service-name';

export type SliceEndpoint = z.infer<typeof sliceEndpoint>;
export type EndpointSliceSpec = z.infer<typeof endpointSliceSpec>;
export type EndpointSlice = Resource<'EndpointSlice', EndpointSliceSpec>;
