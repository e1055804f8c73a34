// What a person can try by hand, as lines that work when they are pasted.
import type { LocalPod } from './plan.ts';
import type { ServiceName } from './scenario.ts';

export interface NamedService extends ServiceName {
  /** The workload behind it. */
  readonly pod: LocalPod;
}

/** URLs, curl lines for each caller, and where to look further. */
export function welcome(
  pods: readonly LocalPod[],
  services: readonly NamedService[],
  folder: string,
): string {
  const lines = ['', 'The mesh is up. Try:'];
  const [first] = services;
  for (const pod of pods) {
    if (pod.sidecar === null || first === undefined) continue;
    const other = services.find((s) => s.pod.workload !== pod.workload) ?? first;
    lines.push(
      `  # as ${pod.namespace}/${pod.serviceAccount}`,
      `  curl -i --proxy http://127.0.0.1:${pod.sidecar.outbound} http://${other.host}:${other.port}/`,
    );
  }
  for (const pod of pods) {
    const [port] = pod.ports;
    if (pod.sidecar === null || port === undefined) continue;
    lines.push(
      `  # ${pod.name} without a certificate`,
      `  curl -i http://127.0.0.1:${port.listen}/`,
    );
    break;
  }
  lines.push('', 'Sidecars:');
  for (const pod of pods) {
    if (pod.sidecar === null) continue;
    lines.push(`  ${pod.name.padEnd(16)} http://127.0.0.1:${pod.sidecar.admin}/help`);
  }
  lines.push('', `Edit the YAML in ${folder} and see which verdicts change. Ctrl-C ends it.`, '');
  return lines.map((line) => `${line}\n`).join('');
}
