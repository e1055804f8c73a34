// Deployment, StatefulSet and DaemonSet (apps/v1): the workloads, by what they have in common.
import { z } from 'zod';

import type { Resource } from '../resource.ts';
import { podSpec } from './pod.ts';

export const podTemplate = z.looseObject({
  metadata: z
    .looseObject({
      labels: z.record(z.string(), z.string()).default({}),
      annotations: z.record(z.string(), z.string()).default({}),
    })
    .prefault({}),
  spec: podSpec.prefault({}),
});

export const deploymentSpec = z.looseObject({
  replicas: z.number().int().min(0).default(1),
  selector: z
    .looseObject({ matchLabels: z.record(z.string(), z.string()).default({}) })
    .prefault({}),
  template: podTemplate,
});

export type DeploymentSpec = z.infer<typeof deploymentSpec>;
export type DeploymentKind = 'Deployment' | 'StatefulSet' | 'DaemonSet';
export type Deployment = Resource<DeploymentKind, DeploymentSpec>;
