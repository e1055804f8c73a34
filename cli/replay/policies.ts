// What is in force in a recorded case: its policies as the webhook would have let them in, compiled.
import { kinds } from '#api/kinds/table.ts';
import { meshConfig } from '#api/kinds/mesh-config.ts';
import { loadText } from '#api/load.ts';
import { objectMeta } from '#api/resource.ts';
import type { PolicyResource } from '#api/snapshot.ts';
import type { PortProtocol, Workload } from '#api/workload.ts';
import { readYaml } from '#api/yaml.ts';
import { type CompiledPolicies, compilePolicies, type PolicyInput } from '#policy/compile.ts';

import { type ReplayCase, ReplayFileError } from './format.ts';

/** The policies of a case, compiled for its workload. @throws ReplayFileError for a mesh configuration that is none */
export function compileCase(c: ReplayCase): CompiledPolicies {
  return compilePolicies(inputOf(c));
}

/** What `compilePolicies` and a snapshot need of a case. @throws ReplayFileError */
export function inputOf(c: ReplayCase): PolicyInput {
  const mesh = meshConfig.safeParse(c.meshConfig);
  if (!mesh.success) throw new ReplayFileError(`case ${c.name}: meshConfig: ${mesh.error.message}`);
  const policies = c.policies.flatMap((text, index) => readPolicies(c, text, index));
  return { mesh: mesh.data, workload: workloadOf(c), policies };
}

function workloadOf({ workload }: ReplayCase): Workload {
  const { namespace, name, labels, serviceAccount } = workload;
  const ports = workload.ports.map(({ port, name, protocol }) => ({
    port,
    name,
    protocol: protocols[protocol] ?? 'detect',
  }));
  return { namespace, name, labels, serviceAccount, ports };
}

const protocols: Readonly<Record<string, PortProtocol>> = {
  HTTP: 'http',
  HTTP2: 'http2',
  GRPC: 'grpc',
  TCP: 'tcp',
};

/** Its place is named `case.yaml`, so that an explanation can say where a rule is. */
function readPolicies(c: ReplayCase, text: string, index: number): PolicyResource[] {
  const file = `${c.name}#${index}.yaml`;
  if (c.admitInvalid === true) return readUnchecked(text, file);
  return loadText(text, file).resources.filter(
    (resource) =>
      resource.kind === 'AuthorizationPolicy' ||
      resource.kind === 'RequestAuthentication' ||
      resource.kind === 'PeerAuthentication',
  );
}

/** As the API server stores it with no webhook: the shape of the CRD holds, and nothing else. */
function readUnchecked(text: string, file: string): PolicyResource[] {
  return readYaml(text, file).documents.flatMap(({ value, origin }) => {
    const { apiVersion, kind, metadata, spec } = value as Readonly<Record<string, unknown>>;
    const [group = ''] = String(apiVersion).split('/');
    const shape = kinds.get(`${group}/${String(kind)}`)?.spec.safeParse(spec ?? {});
    const meta = objectMeta.safeParse(metadata);
    if (shape?.success !== true || !meta.success) return [];
    const resource = { apiVersion, kind, metadata: meta.data, spec: shape.data, origin };
    return [resource as unknown as PolicyResource];
  });
}
