// The Pods that a kubelet would report, written as YAML for control to read; readiness follows the programs.
import { rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import type { LocalPod } from './plan.ts';

/** Writes one file for each pod into a folder, whole or not at all. */
export class PodFiles {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
  }

  async write(pod: LocalPod, ready: boolean): Promise<void> {
    const file = join(this.#folder, `${pod.namespace}.${pod.name}.yaml`);
    // JSON is YAML. The rename keeps control from reading half a file.
    await writeFile(`${file}.part`, `${JSON.stringify(manifestOf(pod, ready), null, 2)}\n`);
    await rename(`${file}.part`, file);
  }
}

function manifestOf(pod: LocalPod, ready: boolean): object {
  const localPorts = Object.fromEntries(pod.ports.map((p) => [String(p.port), p.listen]));
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name: pod.name,
      namespace: pod.namespace,
      labels: pod.labels,
      annotations: {
        ...(pod.sidecar === null ? {} : { inject: 'true' }),
        'selvage.dev/local-ports': JSON.stringify(localPorts),
        'selvage.dev/workload': pod.workload,
      },
    },
    spec: {
      serviceAccountName: pod.serviceAccount,
      containers: [
        {
          name: pod.workload,
          ports: pod.ports.map((p) => ({
            containerPort: p.port,
            ...(p.name === '' ? {} : { name: p.name }),
          })),
        },
      ],
    },
    status: {
      phase: 'Running',
      podIP: '127.0.0.1',
      conditions: [{ type: 'Ready', status: ready ? 'True' : 'False' }],
    },
  };
}
