// Workloads outside of the cluster: found by the labels that Services and ServiceEntries select, and as endpoints.
import type { ServicePortSpec, ServiceResource } from '#api/kinds/service.ts';
import type { WorkloadEntry, WorkloadEntrySpec } from '#api/kinds/workload-entry.ts';
import type { Endpoint } from '#api/snapshot.ts';
import { formatSpiffeId } from '#api/spiffe.ts';
import { selectsLabels } from '#policy/attach.ts';

const tlsModeLabel = 'security.istio.io/tlsMode';

export interface Outside {
  readonly namespace: string;
  readonly workload: string;
  readonly trustDomain: string;
  /** Whether it may speak the mesh's mutual TLS at all. */
  readonly inMesh: boolean;
}

export class WorkloadEntries {
  readonly #byNamespace = new Map<string, WorkloadEntry[]>();
  readonly #trustDomain: string;

  constructor(entries: readonly WorkloadEntry[], trustDomain: string) {
    this.#trustDomain = trustDomain;
    for (const entry of entries) {
      const list = this.#byNamespace.get(entry.metadata.namespace);
      if (list === undefined) this.#byNamespace.set(entry.metadata.namespace, [entry]);
      else list.push(entry);
    }
  }

  selected(namespace: string, labels: Readonly<Record<string, string>>): WorkloadEntry[] {
    const entries = this.#byNamespace.get(namespace) ?? [];
    return entries.filter(({ spec }) => selectsLabels(labels, spec.labels));
  }

  /** A Service without a selector has none. */
  of({ metadata, spec }: ServiceResource): readonly WorkloadEntry[] {
    const { selector = {} } = spec;
    if (this.#byNamespace.size === 0 || Object.keys(selector).length === 0) return none;
    return this.selected(metadata.namespace, selector);
  }

  /** Endpoints of one port of a Service. One that does not say where a named target port is has none. */
  endpoints(service: ServiceResource, port: ServicePortSpec): Endpoint[] {
    return this.of(service).flatMap(({ spec, metadata }) => {
      const target = port.targetPort ?? port.port;
      const named = typeof target === 'string' ? spec.ports?.[target] : target;
      const number = spec.ports?.[port.name] ?? named;
      // A Service is called by address, and nothing looks up names for it.
      if (number === undefined) return [];
      const { namespace, name } = metadata;
      const place = { namespace, workload: name, trustDomain: this.#trustDomain, inMesh: true };
      return [outsideEndpoint(spec, number, place)];
    });
  }
}

const none: readonly WorkloadEntry[] = [];

/** As in Istio: it speaks mutual TLS where its label says so, or where it has a service account and no label. */
export function outsideEndpoint(
  spec: Pick<WorkloadEntrySpec, 'address' | 'labels' | 'locality' | 'weight' | 'serviceAccount'>,
  port: number,
  { namespace, workload, trustDomain, inMesh }: Outside,
): Endpoint {
  const { address, labels, locality = '', weight = 0, serviceAccount = '' } = spec;
  const speaksTls = (labels[tlsModeLabel] ?? 'istio') === 'istio';
  const known = inMesh && serviceAccount !== '' && speaksTls;
  return {
    address,
    port,
    identity: known ? formatSpiffeId({ trustDomain, namespace, serviceAccount }) : null,
    workload,
    namespace,
    labels,
    ...(locality !== '' && { locality }),
    ...(weight > 0 && { weight }),
  };
}
