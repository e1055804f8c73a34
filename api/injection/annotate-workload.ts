// What a workload says of injection goes onto the template of its pods, where the pods get it from.
import { injectionMarks, type Marked } from '../injection.ts';
import {
  type CronJobManifest,
  type Metadata,
  type PodTemplate,
  readWorkload,
  type WorkloadManifest,
} from './manifest.ts';
import { carriedAnnotation } from './names.ts';

/**
 * The workload as it is to be stored; the same object where there is nothing to do. Pure and idempotent.
 * @param old the workload as it is stored at present; undefined when it is new
 * @returns a sentence, where the value is no workload
 */
export function annotateWorkload(value: unknown, old?: unknown): unknown {
  const workload = readWorkload(value);
  if (typeof workload === 'string') return workload;
  if (workload.kind !== 'CronJob') return annotate(workload, old);
  const { jobTemplate } = workload.spec;
  const marks = [workload.metadata, jobTemplate.metadata ?? {}];
  const { template } = jobTemplate.spec;
  const changed = withCarried(template, carriedBy(marks, template));
  if (changed === template) return workload;
  const job = { ...jobTemplate, spec: { ...jobTemplate.spec, template: changed } };
  const cronJob: CronJobManifest = { ...workload, spec: { ...workload.spec, jobTemplate: job } };
  return cronJob;
}

function annotate(workload: WorkloadManifest, old: unknown): WorkloadManifest {
  const { kind, metadata, spec } = workload;
  if (isMadeFromTemplate(kind, metadata)) return workload;
  const wanted =
    kind === 'Job' && old !== undefined ? carriedBefore(old) : carriedBy([metadata], spec.template);
  const template = withCarried(spec.template, wanted);
  return template === spec.template ? workload : { ...workload, spec: { ...spec, template } };
}

/**
 * The template of a Deployment's ReplicaSet must stay equal to the Deployment's, or it makes another.
 * That of a CronJob's Job has what the CronJob was marked with, which the Job itself was not.
 */
function isMadeFromTemplate(kind: string, { ownerReferences }: Metadata): boolean {
  const owner = ownerReferences?.find(({ controller }) => controller === true);
  if (owner === undefined) return false;
  return kind === 'ReplicaSet' || (kind === 'Job' && owner.kind === 'CronJob');
}

/** Nothing where the template says as much by itself: a template that changes starts all pods anew. */
function carriedBy(marks: readonly Metadata[], { metadata }: PodTemplate): string | null {
  const own = verdict([withoutCarried(metadata ?? {})]);
  const all = verdict([...marks, metadata ?? {}].map(withoutCarried));
  return all === own ? null : all;
}

/** The template of a Job that is there cannot be changed. */
function carriedBefore(old: unknown): string | null {
  const workload = readWorkload(old);
  if (typeof workload === 'string' || workload.kind === 'CronJob') return null;
  return workload.spec.template.metadata?.annotations?.[carriedAnnotation] ?? null;
}

function verdict(marks: readonly Marked[]): 'true' | 'false' | null {
  const values = injectionMarks(...marks);
  if (values.includes('false')) return 'false';
  return values.includes('true') ? 'true' : null;
}

function withoutCarried(metadata: Metadata): Metadata {
  const { [carriedAnnotation]: _, ...annotations } = metadata.annotations ?? {};
  return { ...metadata, annotations };
}

function withCarried(template: PodTemplate, wanted: string | null): PodTemplate {
  const { metadata } = template;
  const present = metadata?.annotations?.[carriedAnnotation] ?? null;
  if (present === wanted) return template;
  const annotations = { ...withoutCarried(metadata ?? {}).annotations };
  if (wanted !== null) annotations[carriedAnnotation] = wanted;
  return { ...template, metadata: { ...metadata, annotations } };
}
