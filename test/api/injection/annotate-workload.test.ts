import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import { annotateWorkload } from '#api/injection/annotate-workload.ts';
import { carriedAnnotation } from '#api/injection/names.ts';
import { isInjected, type Marked } from '#api/injection.ts';

interface Template {
  readonly metadata?: { readonly annotations?: Readonly<Record<string, string>> };
}

function workload(kind: string, marks: Marked, template: Marked = {}, more: object = {}): object {
  const spec = { template: { metadata: template, spec: { containers: [] } } };
  return { kind, metadata: { name: 'web', ...marks, ...more }, spec };
}

function carried(value: unknown, old?: unknown): string | undefined {
  const { spec } = annotateWorkload(value, old) as { spec: { template: Template } };
  return spec.template.metadata?.annotations?.[carriedAnnotation];
}

const yes = { annotations: { inject: 'true' } };
const no = { labels: { 'sidecar.istio.io/inject': 'false' } };
const was = (value: string): Marked => ({ annotations: { [carriedAnnotation]: value } });

test.each([
  [yes, {}, 'true'],
  [no, {}, 'false'],
  [yes, no, undefined],
  [no, yes, 'false'],
  // A template that says as much by itself is left alone: a change starts all pods anew.
  [yes, yes, undefined],
  [{}, {}, undefined],
  // The mark was taken away, or turned round.
  [{}, was('true'), undefined],
  [no, was('true'), 'false'],
  [yes, was('true'), 'true'],
])('a workload marked %j with a template marked %j carries %s', (marks, template, wanted) => {
  expect(carried(workload('Deployment', marks, template))).toBe(wanted);
});

test('what needs no change is the same object', () => {
  const value = workload('Deployment', yes, was('true'));
  expect(annotateWorkload(value)).toBe(value);
});

test('the ReplicaSet of a Deployment keeps the template of the Deployment', () => {
  const ownerReferences = [{ kind: 'Deployment', name: 'web', controller: true }];
  const owned = workload('ReplicaSet', yes, {}, { ownerReferences });
  expect(annotateWorkload(owned)).toBe(owned);
  expect(carried(workload('ReplicaSet', yes))).toBe('true');
});

function ownedBy(kind: string): object {
  return { ownerReferences: [{ kind, name: 'owner', controller: true }] };
}

test('the Job of a CronJob keeps the mark that the CronJob gave it, and one of another owner has its own', () => {
  const ofCronJob = workload('Job', {}, was('true'), ownedBy('CronJob'));
  expect(annotateWorkload(ofCronJob)).toBe(ofCronJob);
  expect(carried(workload('Job', yes, {}, ownedBy('Workflow')))).toBe('true');
});

test('the template of a Job that is there keeps what it has', () => {
  expect(carried(workload('Job', yes))).toBe('true');
  expect(carried(workload('Job', yes), workload('Job', {}))).toBeUndefined();
  expect(carried(workload('Job', no), workload('Job', yes, was('true')))).toBe('true');
});

test('a CronJob carries its mark, or that of its job template, onto the template of its pods', () => {
  const template = { metadata: null, spec: {} };
  const cron = (metadata: object, job: object): unknown => ({
    kind: 'CronJob',
    metadata,
    spec: { jobTemplate: { metadata: job, spec: { template } } },
  });
  for (const value of [cron(yes, {}), cron({}, yes)]) {
    expect(annotateWorkload(value)).toHaveProperty(
      'spec.jobTemplate.spec.template.metadata.annotations',
      { [carriedAnnotation]: 'true' },
    );
  }
});

test.each([null, [], {}, { kind: 'Service', metadata: {}, spec: {} }, { kind: 'Deployment' }])(
  '%j is no workload',
  (value) => {
    expect(annotateWorkload(value)).toBeTypeOf('string');
  },
);

const mark = fc.record({
  annotations: fc.dictionary(
    fc.constantFrom('inject', 'sidecar.istio.io/inject', carriedAnnotation, 'other'),
    fc.constantFrom('true', 'false', 'perhaps'),
  ),
  labels: fc.dictionary(fc.constantFrom('inject', 'app'), fc.constantFrom('true', 'false')),
});

test('the pods of any workload are injected as the workload and its template together say', () => {
  fc.assert(
    fc.property(mark, mark, (marks, template) => {
      const value = workload('StatefulSet', marks, template);
      const changed = annotateWorkload(value) as { spec: { template: { metadata: Marked } } };
      const { [carriedAnnotation]: _, ...annotations } = template.annotations;
      const { [carriedAnnotation]: __, ...own } = marks.annotations;
      const wanted = isInjected({ ...marks, annotations: own }, { ...template, annotations });
      expect(isInjected(changed.spec.template.metadata)).toBe(wanted);
      expect(annotateWorkload(changed)).toBe(changed);
    }),
  );
});
