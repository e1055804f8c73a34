// The two ways in which Istio's security kinds choose workloads.
import { z } from 'zod';

export const workloadSelector = z.object({
  matchLabels: z.record(z.string(), z.string()).default({}),
});

/** Istio PolicyTargetReference. On a sidecar a policy with targetRefs is ignored, never widened. */
export const targetRef = z.object({
  group: z.string().default(''),
  kind: z.string().min(1),
  name: z.string().min(1),
  namespace: z.string().optional(),
});
