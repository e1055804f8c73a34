// The two ways in which Istio's security kinds choose workloads.
import { z } from 'zod';

export const workloadSelector = z
  .object({
    matchLabels: z
      .record(z.string(), z.string())
      .default({})
      .describe('Labels that a pod must have, all of them, with these values.'),
  })
  .describe('The workloads this is for; without it all of the namespace, or of the mesh.');

/** Istio PolicyTargetReference. On a sidecar a policy with targetRefs is ignored, never widened. */
export const targetRef = z
  .object({
    group: z.string().default('').describe("API group of the target; Kubernetes' own when empty."),
    kind: z.string().min(1).describe('Kind of the target, as Gateway or Service.'),
    name: z.string().min(1).describe('Name of the target.'),
    namespace: z.string().optional().describe('Must be empty: targets are in the same namespace.'),
  })
  .describe('A resource this is attached to. Sidecars ignore whatever has one.');

/** How our own kinds choose workloads. */
export const workloadTarget = {
  selector: workloadSelector.optional(),
  targetRefs: z
    .array(targetRef)
    .optional()
    .describe('Services of the namespace: the workloads behind them.'),
};
