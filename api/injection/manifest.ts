// The parts of pods and workloads that injection reads, as manifests have them: all else is kept as it is.
import { z } from 'zod';

const texts = z.record(z.string(), z.string()).nullish();

const ownerReference = z.looseObject({
  kind: z.string(),
  name: z.string(),
  controller: z.boolean().nullish(),
});

const metadata = z.looseObject({
  name: z.string().nullish(),
  generateName: z.string().nullish(),
  namespace: z.string().nullish(),
  labels: texts,
  annotations: texts,
  ownerReferences: z.array(ownerReference).nullish(),
});

const portOrName = z.union([z.number(), z.string()]);

const httpAction = z.looseObject({
  path: z.string().nullish(),
  port: portOrName,
  scheme: z.string().nullish(),
  host: z.string().nullish(),
  httpHeaders: z.array(z.looseObject({ name: z.string(), value: z.string() })).nullish(),
});

const probe = z.looseObject({
  httpGet: httpAction.nullish(),
  tcpSocket: z.looseObject({ port: portOrName, host: z.string().nullish() }).nullish(),
  grpc: z.looseObject({ port: z.number(), service: z.string().nullish() }).nullish(),
  timeoutSeconds: z.number().nullish(),
});

const hook = z.looseObject({ httpGet: httpAction.nullish() });

const identity = z.looseObject({
  runAsUser: z.number().nullish(),
  runAsGroup: z.number().nullish(),
});

const container = z.looseObject({
  name: z.string(),
  restartPolicy: z.string().nullish(),
  ports: z
    .array(
      z.looseObject({
        name: z.string().nullish(),
        containerPort: z.number(),
        protocol: z.string().nullish(),
      }),
    )
    .nullish(),
  env: z.array(z.looseObject({ name: z.string(), value: z.string().nullish() })).nullish(),
  livenessProbe: probe.nullish(),
  readinessProbe: probe.nullish(),
  startupProbe: probe.nullish(),
  lifecycle: z.looseObject({ preStop: hook.nullish(), postStart: hook.nullish() }).nullish(),
  securityContext: identity.nullish(),
});

const podSpec = z.looseObject({
  initContainers: z.array(container).nullish(),
  containers: z.array(container),
  volumes: z.array(z.looseObject({ name: z.string() })).nullish(),
  hostNetwork: z.boolean().nullish(),
  os: z.looseObject({ name: z.string().nullish() }).nullish(),
  nodeSelector: texts,
  terminationGracePeriodSeconds: z.number().nullish(),
  securityContext: identity.nullish(),
});

const podManifest = z.looseObject({ metadata: metadata.nullish(), spec: podSpec });

const template = z.looseObject({ metadata: metadata.nullish() });

const workloadManifest = z.looseObject({
  kind: z.enum(['Deployment', 'StatefulSet', 'DaemonSet', 'ReplicaSet', 'Job']),
  metadata,
  spec: z.looseObject({ template }),
});

const cronJobManifest = z.looseObject({
  kind: z.literal('CronJob'),
  metadata,
  spec: z.looseObject({
    jobTemplate: z.looseObject({
      metadata: metadata.nullish(),
      spec: z.looseObject({ template }),
    }),
  }),
});

export type Metadata = z.infer<typeof metadata>;
export type Probe = z.infer<typeof probe>;
export type HttpAction = z.infer<typeof httpAction>;
export type ContainerManifest = z.infer<typeof container>;
/** A Pod, or the template of one. */
export type PodManifest = z.infer<typeof podManifest>;
export type PodTemplate = z.infer<typeof template>;
export type WorkloadManifest = z.infer<typeof workloadManifest>;
export type CronJobManifest = z.infer<typeof cronJobManifest>;

/** The kinds with a pod template that injection knows. */
export const workloadKinds = [...workloadManifest.shape.kind.options, 'CronJob'] as const;

/** The value itself, not a copy; else a sentence that says what is wrong with it. */
export function readPod(value: unknown): PodManifest | string {
  return read(podManifest, value) as PodManifest | string;
}

/** The value itself, not a copy; else a sentence that says what is wrong with it. */
export function readWorkload(value: unknown): WorkloadManifest | CronJobManifest | string {
  const kind = typeof value === 'object' && value !== null && 'kind' in value ? value.kind : null;
  return kind === 'CronJob'
    ? (read(cronJobManifest, value) as CronJobManifest | string)
    : (read(workloadManifest, value) as WorkloadManifest | string);
}

/** Only looked at: zod's own result has its fields in another order. */
function read(shape: z.ZodType, value: unknown): unknown {
  const parsed = shape.safeParse(value);
  if (parsed.success) return value;
  const [issue] = parsed.error.issues;
  return `${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'another shape is wanted'}`;
}
