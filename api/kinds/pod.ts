// Pod (v1): the fields that decide identity, ports, injection and readiness; all others are kept as
// they are.
import { z } from 'zod';

import type { Resource } from '../resource.ts';

export const containerPort = z.looseObject({
  name: z.string().default(''),
  containerPort: z.number().int().min(1).max(65535),
  protocol: z.string().default('TCP'),
});

export const environmentVariable = z.looseObject({
  name: z.string().min(1),
  value: z.string().optional(),
  valueFrom: z
    .looseObject({ fieldRef: z.looseObject({ fieldPath: z.string() }).optional() })
    .optional(),
});

/** `command`, `args`, `env` and `workingDir` are what a local mesh runs the program by. */
export const container = z.looseObject({
  name: z.string().default(''),
  command: z.array(z.string()).default([]),
  args: z.array(z.string()).default([]),
  env: z.array(environmentVariable).default([]),
  workingDir: z.string().default(''),
  ports: z.array(containerPort).default([]),
});

export const podSpec = z.looseObject({
  /** Kubernetes fills in `default`. */
  serviceAccountName: z
    .string()
    .default('default')
    .transform((name) => (name === '' ? 'default' : name)),
  hostNetwork: z.boolean().default(false),
  initContainers: z.array(container).default([]),
  containers: z.array(container).default([]),
});

export const podStatus = z.looseObject({
  phase: z.string().optional(),
  podIP: z.string().optional(),
  /** All of a dual-stack pod, `podIP` first. */
  podIPs: z.array(z.looseObject({ ip: z.string().default('') })).optional(),
  conditions: z.array(z.looseObject({ type: z.string(), status: z.string() })).default([]),
});

export type EnvironmentVariable = z.infer<typeof environmentVariable>;
export type Container = z.infer<typeof container>;
export type PodSpec = z.infer<typeof podSpec>;
export type PodStatus = z.infer<typeof podStatus>;
export interface Pod extends Resource<'Pod', PodSpec> {
  /** Absent in files: the pod is not known to run, and counts as ready. */
  readonly status?: PodStatus;
}
