// The CustomResourceDefinition of each kind that is read: Istio's in all versions that Istio serves, and our own.
import { pluralOf } from '../kinds/plural.ts';
import { type KindEntry, kinds } from '../kinds/table.ts';
import { additions } from './additions.ts';
import { type JsonSchema, openApiSchema } from './schema.ts';

interface Column {
  readonly name: string;
  readonly type: string;
  readonly jsonPath: string;
  readonly description: string;
}

interface Presentation {
  readonly shortNames: readonly string[];
  readonly columns: readonly Column[];
  readonly description: string;
}

/** The version that etcd holds; the same one as Istio's, so that either may follow the other. */
const storedVersion = 'v1beta1';
/** By this label `selvage install` knows what it may replace. */
export const managedBy = { 'app.kubernetes.io/managed-by': 'selvage' } as const;

const presentations: Readonly<Record<string, Presentation>> = {
  AuthorizationPolicy: {
    shortNames: ['ap'],
    columns: [column('Action', '.spec.action', 'What becomes of calls that match.')],
    description: 'Says who may call what.',
  },
  RequestAuthentication: {
    shortNames: ['ra'],
    columns: [],
    description: 'Says which JSON web tokens are believed.',
  },
  PeerAuthentication: {
    shortNames: ['pa'],
    columns: [column('Mode', '.spec.mtls.mode', 'Whether mutual TLS is wanted.')],
    description: 'Says whether ports take plaintext, mutual TLS or both.',
  },
  ServiceEntry: {
    shortNames: ['se'],
    columns: [
      column('Hosts', '.spec.hosts', 'Names of the service.'),
      column('Location', '.spec.location', 'Whether it is in the mesh.'),
      column('Resolution', '.spec.resolution', 'How its addresses are found.'),
    ],
    description: 'Describes a service that no Service of the cluster names.',
  },
  WorkloadEntry: {
    shortNames: ['we'],
    columns: [column('Address', '.spec.address', 'Where it is.')],
    description: 'Describes a workload outside of the cluster.',
  },
  DestinationRule: {
    shortNames: ['dr'],
    columns: [column('Host', '.spec.host', 'What is called.')],
    description: 'Says how a host is called, and which subsets it has.',
  },
  Sidecar: {
    shortNames: [],
    columns: [],
    description: 'Says what a workload sees of the mesh.',
  },
  Telemetry: {
    shortNames: ['telemetry'],
    columns: [],
    description: 'Says what workloads tell of their traffic: traces, metrics, access logs.',
  },
  CircuitBreaker: {
    shortNames: [],
    columns: [
      column('Host', '.spec.host', 'What is called.'),
      column('Expression', '.spec.expression', 'When it opens.'),
    ],
    description: 'Stops calls to a host for a while when an expression holds.',
  },
  HealthCheck: {
    shortNames: [],
    columns: [column('Host', '.spec.host', 'What is asked.')],
    description: 'Asks the endpoints of a host whether they are well.',
  },
  VirtualService: {
    shortNames: ['vs'],
    columns: [
      column('Gateways', '.spec.gateways', 'Where it counts.'),
      column('Hosts', '.spec.hosts', 'What is called.'),
    ],
    description: 'Says how calls of some hosts are routed.',
  },
  RateLimit: {
    shortNames: ['rl'],
    columns: [column('Limits', '.spec.limits[*].name', 'Names of its limits.')],
    description: 'Says how often, or how many at once, callers may call a workload.',
  },
  ApiKeyAuthentication: {
    shortNames: ['aka'],
    columns: [column('Consumers', '.spec.consumers[*].name', 'Callers that it knows by itself.')],
    description: 'Says which API keys callers of a workload are known by.',
  },
  TokenExchange: {
    shortNames: ['tex'],
    columns: [
      column('Hosts', '.spec.hosts', 'Hosts whose calls get the token.'),
      column('Audience', '.spec.audience', 'Who the token is for.'),
    ],
    description: 'Says which token calls of a workload carry (RFC 8693).',
  },
  Filter: {
    shortNames: [],
    columns: [],
    description: "Runs the user's own code on a workload's requests.",
  },
  ResponseCache: {
    shortNames: [],
    columns: [column('Bytes', '.spec.maxBytes', 'What each sidecar keeps at most.')],
    description:
      'Keeps answers of a workload, and gives them again; stale ones, for up to a day, where the application says stale-while-revalidate (one call in 5 s asks anew) or stale-if-error.',
  },
  Transformation: {
    shortNames: [],
    columns: [],
    description: 'Edits what comes to a workload, and what it answers.',
  },
};

const enforced = column(
  'Enforced',
  '.status.conditions[?(@.type=="Enforced")].status',
  'Whether every sidecar that it concerns goes by it.',
);
const age: Column = {
  name: 'Age',
  type: 'date',
  jsonPath: '.metadata.creationTimestamp',
  description: 'Time since it was made.',
};

/** Ready to apply: `apiextensions.k8s.io/v1`, by the order of the table. */
export function customResourceDefinitions(): readonly CustomResourceDefinition[] {
  return [...kinds.values()]
    .filter(({ complete, foreignCrd }) => complete && foreignCrd !== true)
    .map(definitionOf);
}

export interface CustomResourceDefinition {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly labels: Readonly<Record<string, string>> };
  readonly spec: object;
}

function definitionOf(entry: KindEntry): CustomResourceDefinition {
  const { kind, group, versions } = entry;
  const presentation = presentations[kind];
  if (presentation === undefined) throw new Error(`api/crd/definition.ts has no entry for ${kind}`);
  const plural = pluralOf(kind);
  const stored = versions.includes(storedVersion) ? storedVersion : versions[0];
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: {
      name: `${plural}.${group}`,
      labels: { 'app.kubernetes.io/part-of': 'selvage', ...managedBy },
    },
    spec: {
      group,
      scope: entry.namespaced ? 'Namespaced' : 'Cluster',
      names: {
        kind,
        listKind: `${kind}List`,
        plural,
        singular: kind.toLowerCase(),
        // An empty list would be another value for the API server, and two appliers would contend for it.
        ...(presentation.shortNames.length > 0 && { shortNames: presentation.shortNames }),
        categories: categoriesOf(group),
      },
      versions: versions.map((name) => ({
        name,
        served: true,
        storage: name === stored,
        subresources: { status: {} },
        additionalPrinterColumns: [...presentation.columns, enforced, age],
        schema: { openAPIV3Schema: objectSchema(entry, presentation.description) },
      })),
    },
  };
}

/** `kubectl get istio-io` gives what Istio's own gives. */
function categoriesOf(group: string): string[] {
  return group === 'selvage.dev' ? ['selvage'] : ['istio-io', `${group.split('.')[0]}-istio-io`];
}

function objectSchema({ kind, spec }: KindEntry, description: string): JsonSchema {
  return {
    type: 'object',
    description,
    properties: {
      spec: openApiSchema(spec, additions[kind] ?? new Map()),
      status: {
        type: 'object',
        description: 'Written by the control plane: conditions and the generation they are about.',
        'x-kubernetes-preserve-unknown-fields': true,
      },
    },
  };
}

function column(name: string, jsonPath: string, description: string): Column {
  return { name, type: 'string', jsonPath, description };
}
