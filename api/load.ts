// Texts of YAML become resources: the good ones, and what is wrong with the others.
import type { AuthorizationPolicy } from './kinds/authorization-policy.ts';
import type { CircuitBreaker } from './kinds/circuit-breaker.ts';
import type { Deployment } from './kinds/deployment.ts';
import type { DestinationRule } from './kinds/destination-rule.ts';
import type { EndpointSlice } from './kinds/endpoint-slice.ts';
import type { ExtensionResource } from './kinds/extension.ts';
import type { HealthCheck } from './kinds/health-check.ts';
import type { GRPCRoute } from './kinds/grpc-route.ts';
import type { HTTPRoute } from './kinds/http-route.ts';
import type { MeshConfig } from './kinds/mesh-config.ts';
import type { Namespace } from './kinds/namespace.ts';
import type { PeerAuthentication } from './kinds/peer-authentication.ts';
import type { Pod } from './kinds/pod.ts';
import type { PolicyTestDocument } from './kinds/policy-test.ts';
import type { ReferenceGrant } from './kinds/reference-grant.ts';
import type { RequestAuthentication } from './kinds/request-authentication.ts';
import type { SecretResource } from './kinds/secret.ts';
import type { ServiceAccount } from './kinds/service-account.ts';
import type { ServiceEntry } from './kinds/service-entry.ts';
import type { ServiceResource } from './kinds/service.ts';
import type { Sidecar } from './kinds/sidecar.ts';
import type { WorkloadEntry } from './kinds/workload-entry.ts';
import type { Telemetry } from './kinds/telemetry.ts';
import type { VirtualService } from './kinds/virtual-service.ts';
import type { Problem } from './problem.ts';
import { readResource } from './read-resource.ts';
import type { Resource } from './resource.ts';
import { unfoldList } from './unfold-list.ts';
import { readYaml } from './yaml.ts';

export type MeshConfigResource = Resource<'MeshConfig', MeshConfig>;

export type AnyResource =
  | AuthorizationPolicy
  | RequestAuthentication
  | PeerAuthentication
  | MeshConfigResource
  | Namespace
  | ServiceAccount
  | ServiceResource
  | SecretResource
  | ServiceEntry
  | WorkloadEntry
  | Sidecar
  | Telemetry
  | DestinationRule
  | CircuitBreaker
  | HealthCheck
  | EndpointSlice
  | Pod
  | Deployment
  | VirtualService
  | HTTPRoute
  | GRPCRoute
  | ReferenceGrant
  | ExtensionResource
  | PolicyTestDocument;

export interface TextFile {
  /** Path as the user gave it. */
  readonly file: string;
  readonly text: string;
}

export interface Loaded {
  /** In the order of files and documents. Those with an error are left out. */
  readonly resources: AnyResource[];
  readonly problems: Problem[];
}

/** Reads one text of YAML or JSON documents. Never throws. */
export function loadText(text: string, file: string): Loaded {
  const { documents, problems } = readYaml(text, file);
  const resources: AnyResource[] = [];
  for (const document of documents) {
    for (const source of unfoldList(document)) {
      const read = readResource(source);
      problems.push(...read.problems);
      if (read.resource !== null) resources.push(read.resource);
    }
  }
  return { resources, problems };
}

/** Reads all texts, in their order. Never throws. */
export function loadFiles(files: readonly TextFile[]): Loaded {
  const loaded = files.map(({ file, text }) => loadText(text, file));
  return {
    resources: loaded.flatMap(({ resources }) => resources),
    problems: loaded.flatMap(({ problems }) => problems),
  };
}
