// Any manifest with pods in it, as the API server would store it and its pods: for `selvage inject`.
import type { NamespaceStance } from '../injection.ts';
import { annotateWorkload } from './annotate-workload.ts';
import type { InjectionConfig } from './config.ts';
import { type Injection, injectPod } from './inject-pod.ts';
import { readWorkload, type WorkloadManifest, workloadKinds } from './manifest.ts';

/** A mesh's word on what the namespaces of manifests say. */
export type StanceOfNamespace = (namespace: string) => NamespaceStance;

/** null: it is nothing that has pods. Never throws. */
export function injectManifest(
  value: unknown,
  stanceOfNamespace: StanceOfNamespace,
  config: InjectionConfig,
): Injection | null {
  if (typeof value !== 'object' || value === null || !('kind' in value)) return null;
  const { kind } = value;
  const namespace = namespaceOf(value);
  const context = { namespace, stance: stanceOfNamespace(namespace) };
  if (kind === 'Pod') return injectPod(value, context, config);
  if (!workloadKinds.some((known) => known === kind)) return null;
  const annotated = annotateWorkload(value);
  const workload = readWorkload(annotated);
  if (typeof annotated === 'string' || typeof workload === 'string') {
    return { outcome: 'refused', refusal: `it cannot be read: ${String(annotated)}` };
  }
  const named = { ...context, workload: workload.metadata.name ?? '' };
  const inject = (template: unknown): Injection => injectPod(template, named, config);
  if (workload.kind !== 'CronJob') {
    return within(inject(workload.spec.template), (template) => withTemplate(workload, template));
  }
  const { jobTemplate } = workload.spec;
  return within(inject(jobTemplate.spec.template), (template) => ({
    ...workload,
    spec: {
      ...workload.spec,
      jobTemplate: { ...jobTemplate, spec: { ...jobTemplate.spec, template } },
    },
  }));
}

/** As kubectl, where neither the manifest nor its user says another. */
function namespaceOf(value: object): string {
  const metadata = 'metadata' in value ? value.metadata : null;
  if (typeof metadata !== 'object' || metadata === null) return 'default';
  const namespace = 'namespace' in metadata ? metadata.namespace : null;
  return typeof namespace === 'string' && namespace !== '' ? namespace : 'default';
}

function withTemplate(workload: WorkloadManifest, template: unknown): unknown {
  return { ...workload, spec: { ...workload.spec, template } };
}

function within(injection: Injection, wrap: (template: unknown) => unknown): Injection {
  if (injection.outcome === 'refused') return injection;
  return { ...injection, pod: wrap(injection.pod) };
}
