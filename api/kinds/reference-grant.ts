// ReferenceGrant (gateway.networking.k8s.io v1, v1beta1): which routes may send calls into its namespace.
import { z } from 'zod';

import type { Resource } from '../resource.ts';

export const referenceGrantSpec = z.object({
  from: z
    .array(
      z.object({
        group: z.string().describe('Group of the routes.'),
        kind: z.string().min(1).describe('Kind of the routes, as HTTPRoute.'),
        namespace: z.string().min(1).describe('Namespace of the routes.'),
      }),
    )
    .min(1)
    .describe('Who may refer.'),
  to: z
    .array(
      z.object({
        group: z.string().describe('Group of what may be referred to; "" for a Service.'),
        kind: z.string().min(1).describe('Kind of it, as Service.'),
        name: z.string().min(1).optional().describe('Its name; all when left out.'),
      }),
    )
    .min(1)
    .describe('What may be referred to.'),
});

export type ReferenceGrantSpec = z.infer<typeof referenceGrantSpec>;
export type ReferenceGrant = Resource<'ReferenceGrant', ReferenceGrantSpec>;
