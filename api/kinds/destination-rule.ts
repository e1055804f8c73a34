// DestinationRule (networking.istio.io): how a host is called, and the subsets that routes name.
import { z } from 'zod';

import type { Resource } from '../resource.ts';
import { workloadSelector } from './selector.ts';
import { trafficPolicy } from './traffic-policy.ts';

export const exportTo = z
  .array(z.string())
  .default([])
  .describe('Namespaces that see it: "." its own, "*" all.');

export const destinationRuleSpec = z.object({
  host: z
    .string()
    .default('')
    .describe("What is called; a short name means a Service of the rule's own namespace."),
  trafficPolicy: trafficPolicy.optional().describe('How it is called.'),
  subsets: z
    .array(
      z.object({
        name: z.string().default('').describe('Name, by which routes choose it.'),
        labels: z.record(z.string(), z.string()).default({}).describe('Labels of its endpoints.'),
        trafficPolicy: trafficPolicy
          .optional()
          .describe('How it is called; what is not said is as for the host.'),
      }),
    )
    .default([])
    .describe('Named parts of the endpoints.'),
  exportTo,
  workloadSelector: workloadSelector
    .optional()
    .describe('The callers it is for; without it all of the namespaces that see it.'),
});

export type DestinationRuleSpec = z.infer<typeof destinationRuleSpec>;
export type SubsetSpec = DestinationRuleSpec['subsets'][number];
export type DestinationRule = Resource<'DestinationRule', DestinationRuleSpec>;
