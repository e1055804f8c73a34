// Any manifest with pods in it, as the API server would store it and its pods: for `selvage inject`.
import type { NamespaceStance } from '../injection.ts';
import { annotateWorkload } from './annotate-workload.ts';
import type { InjectionConfig } from './config.ts';
import { type Injection, injectPod, leftAlone, strayMarks } from './inject-pod.ts';
import { isProtected } from './names.ts';
import { readWorkload, type WorkloadManifest, workloadKinds } from './manifest.ts';
import { workloadOf } from './workload-name.ts';

/** A mesh's word on what the namespaces of manifests say. */
export type StanceOfNamespace = (namespace: string) => NamespaceStance;

/**
 * null: it is nothing that has pods. Never throws.
 * @param defaultNamespace where the manifest names none
 */
export function injectManifest(
  value: unknown,
  defaultNamespace: string,
  stanceOfNamespace: StanceOfNamespace,
  config: InjectionConfig,
): Injection | null {
  if (typeof value !== 'object' || value === null || !('kind' in value)) return null;
  const { kind } = value;
  const namespace = namespaceOf(value) ?? defaultNamespace;
  const context = { namespace, stance: stanceOfNamespace(namespace) };
  if (kind === 'Pod') return injectPod(value, context, config);
  if (!workloadKinds.some((known) => known === kind)) return null;
  if (isProtected(namespace)) return leftAlone(value, namespace);
  const annotated = annotateWorkload(value);
  const workload = readWorkload(annotated);
  if (typeof annotated === 'string' || typeof workload === 'string') {
    return { outcome: 'refused', refusal: `it cannot be read: ${String(annotated)}` };
  }
  const { kind: owner, metadata } = workload;
  // As the pods will say it, which know their owner by a reference.
  const ownerReferences = [{ kind: owner, name: metadata.name ?? '', controller: true }];
  const named = { ...context, workload: workloadOf({ ownerReferences }) };
  const slips = strayMarks(metadata);
  const inject = (template: unknown): Injection => {
    const injection = injectPod(template, named, config);
    if (injection.outcome === 'refused') return injection;
    return { ...injection, warnings: [...slips, ...injection.warnings] };
  };
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

function namespaceOf(value: object): string | null {
  const metadata = 'metadata' in value ? value.metadata : null;
  if (typeof metadata !== 'object' || metadata === null) return null;
  const namespace = 'namespace' in metadata ? metadata.namespace : null;
  return typeof namespace === 'string' && namespace !== '' ? namespace : null;
}

function withTemplate(workload: WorkloadManifest, template: unknown): unknown {
  return { ...workload, spec: { ...workload.spec, template } };
}

function within(injection: Injection, wrap: (template: unknown) => unknown): Injection {
  if (injection.outcome === 'refused') return injection;
  return { ...injection, pod: wrap(injection.pod) };
}
