// The Pods that a kubelet would report, written as YAML for control to read; readiness follows the programs.
import { rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import type { LocalPod } from './plan.ts';

/** Writes one file for each pod into a folder, whole or not at all; the last one asked for stays. */
export class PodFiles {
  readonly #folder: string;
  #last: Promise<void> = Promise.resolve();

  constructor(folder: string) {
    this.#folder = folder;
  }

  write(pod: LocalPod, ready: boolean): Promise<void> {
    const file = this.#fileOf(pod);
    return this.#inTurn(async () => {
      // JSON is YAML. The rename keeps control from reading half a file.
      await writeFile(`${file}.part`, `${JSON.stringify(manifestOf(pod, ready), null, 2)}\n`);
      await rename(`${file}.part`, file);
    });
  }

  /** The pod is no more. */
  remove(pod: LocalPod): Promise<void> {
    return this.#inTurn(() => rm(this.#fileOf(pod), { force: true }));
  }

  #fileOf(pod: LocalPod): string {
    return join(this.#folder, `${pod.namespace}.${pod.name}.yaml`);
  }

  #inTurn(action: () => Promise<void>): Promise<void> {
    const done = this.#last.then(action);
    // Whoever asked hears of a failure; the next one has its turn all the same.
    this.#last = done.catch(() => undefined);
    return done;
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
