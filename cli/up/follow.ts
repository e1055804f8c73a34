// What was done to follow an edit, in words: programs that began and ended, Services that lead elsewhere.
import type { MeshModel } from '../calls/model.ts';
import type { LocalPod } from './plan.ts';
import type { PodChanges } from './pod-changes.ts';
import type { NamedService } from './welcome.ts';

/** A line for each workload: `shop/web: 2 pods more started`, `shop/web: env changed, started again`. */
export function describeChanges(
  { added, removed, changed }: PodChanges,
  running: ReadonlySet<string>,
): string[] {
  const lines: string[] = [];
  for (const [workload, pods] of byWorkload(added)) {
    const more = running.has(workload) ? ' more' : '';
    lines.push(`${workload}: ${counted(pods.length)}${more} started`);
  }
  for (const [workload, pods] of byWorkload(removed)) {
    lines.push(`${workload}: ${counted(pods.length)} ended`);
  }
  const whats = new Map<string, string>();
  for (const { after, what } of changed) whats.set(workloadOf(after), what.join(' and '));
  for (const [workload, what] of whats) lines.push(`${workload}: ${what} changed, started again`);
  return lines;
}

function byWorkload(pods: readonly LocalPod[]): Map<string, LocalPod[]> {
  return Map.groupBy(pods, workloadOf);
}

/** `shop/web`. */
export function workloadOf({ namespace, workload }: LocalPod): string {
  return `${namespace}/${workload}`;
}

function counted(pods: number): string {
  return `${pods} pod${pods === 1 ? '' : 's'}`;
}

/** Where a pod that is new can be looked at, and how to call others as it does. */
export function wayLines(pods: readonly LocalPod[]): string[] {
  return pods.flatMap(({ title, sidecar }) =>
    sidecar === null
      ? []
      : [
          `  ${title}: call others as it does by --proxy http://127.0.0.1:${sidecar.outbound}, see http://127.0.0.1:${sidecar.admin}/help`,
        ],
  );
}

export function serviceLines(
  before: readonly NamedService[],
  after: readonly NamedService[],
): string[] {
  const was = namesOf(before);
  const is = namesOf(after);
  const added = [...is].filter(([name]) => !was.has(name));
  const removed = [...was.keys()].filter((name) => !is.has(name));
  return [
    ...added.map(([name, to]) => `http://${name} leads to ${to} now`),
    ...removed.map((name) => `http://${name} leads nowhere any more`),
  ];
}

function namesOf(services: readonly NamedService[]): Map<string, string> {
  return new Map(services.map(({ host, port, pod }) => [`${host}:${port}`, workloadOf(pod)]));
}

/** Certificates name it, and so does the CA from its first start. */
export function trustDomainLines(running: string, model: MeshModel): string[] {
  const { trustDomain } = model.resources.meshConfig;
  if (trustDomain === running) return [];
  return [
    `! the trust domain is ${trustDomain} now, and every certificate of this mesh says ${running}: end it and start it again`,
  ];
}
