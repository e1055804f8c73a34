// The examples as control and a sidecar see them: files become snapshots, with real servers behind the services.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { loadFiles } from '#api/load.ts';
import { collectMesh, workloadsOf, type MeshResources } from '#api/mesh.ts';
import type { Problem } from '#api/problem.ts';
import type { Service, Snapshot } from '#api/snapshot.ts';
import { ApiKeyResolver } from '#control/api-keys.ts';
import { snapshotOf } from '#control/snapshot.ts';
import { lintMesh } from '#policy/lint/lint.ts';

const folder = join(import.meta.dirname, '../../manifests/examples/edge');

export interface MeshOfFiles {
  readonly mesh: MeshResources;
  /** What `selvage check` says of them, and control. */
  readonly problems: readonly Problem[];
}

/** @param names of files of manifests/examples/edge beside its mesh.yaml */
export function meshOf(...names: string[]): MeshOfFiles {
  const files = ['mesh.yaml', ...names].map((name) => {
    return { file: name, text: readFileSync(join(folder, name), 'utf8') };
  });
  const { resources, problems } = loadFiles(files);
  const mesh = collectMesh(resources);
  const keyed = new ApiKeyResolver().resolve(mesh.extensions, mesh.secrets);
  return {
    mesh: { ...mesh, extensions: keyed.extensions },
    problems: [...problems, ...lintMesh(mesh), ...keyed.problems],
  };
}

/** @param ports where each service of the namespace really is, by `name:port` */
export function snapshotFor(
  { mesh }: MeshOfFiles,
  name: string,
  ports: Readonly<Record<string, number>> = {},
): Snapshot {
  const workload = workloadsOf(mesh).find((one) => one.name === name);
  if (workload === undefined) throw new Error(`no workload ${name}`);
  const snapshot = snapshotOf(mesh, workload, 2);
  return { ...snapshot, services: snapshot.services.map((service) => placed(service, ports)) };
}

function placed(service: Service, ports: Readonly<Record<string, number>>): Service {
  return {
    ...service,
    ports: service.ports.map((one) => {
      const port = ports[`${service.name}:${one.port}`];
      const { name: workload, namespace } = service;
      const at = { address: '127.0.0.1', identity: null, workload, namespace, labels: {} };
      return { ...one, endpoints: port === undefined ? [] : [{ ...at, port }] };
    }),
  };
}
