// What routes of the Gateway API refer to: parents that are Services or service entries, backends, grants.
import { gatewayGroup, type BackendObjectRef, type ParentRef } from '../kinds/gateway-route.ts';
import type { ReferenceGrant } from '../kinds/reference-grant.ts';
import type { MeshResources } from '../mesh.ts';
import { serviceHost } from './host.ts';
import type { Destination } from './route.ts';
import { byNamespace } from '../workload-ports.ts';

/** A route as the one who refers. */
export interface Referrer {
  readonly kind: 'HTTPRoute' | 'GRPCRoute';
  readonly namespace: string;
}

export interface Parent {
  readonly hosts: readonly string[];
  readonly namespace: string;
}

/** Gateway API's reason, and why. */
export interface Unresolved {
  readonly reason: 'BackendNotFound' | 'RefNotPermitted' | 'InvalidKind';
  readonly message: string;
}

export interface Backend {
  readonly destination: Destination;
  readonly unresolved?: Unresolved;
}

interface Known {
  readonly hosts: readonly string[];
  readonly ports: ReadonlySet<number>;
}

export class References {
  readonly #services = new Map<string, Known>();
  readonly #entries = new Map<string, Known>();
  readonly #entryHosts = new Set<string>();
  readonly #grants: ReadonlyMap<string, readonly ReferenceGrant[]>;

  constructor(mesh: Pick<MeshResources, 'services' | 'serviceEntries' | 'referenceGrants'>) {
    for (const { metadata, spec } of mesh.services) {
      const { namespace, name } = metadata;
      const ports = new Set(spec.ports.map(({ port }) => port));
      this.#services.set(`${namespace}/${name}`, { hosts: [serviceHost(name, namespace)], ports });
    }
    for (const { metadata, spec } of mesh.serviceEntries) {
      const hosts = spec.hosts.map((host) => host.toLowerCase());
      const known = { hosts, ports: new Set(spec.ports.map(({ number }) => number)) };
      this.#entries.set(`${metadata.namespace}/${metadata.name}`, known);
      for (const host of hosts) this.#entryHosts.add(host);
    }
    this.#grants = byNamespace(mesh.referenceGrants);
  }

  /** Null: there is none, or it has not the port. Undefined: it is no parent of ours, as a Gateway. */
  parent(ref: ParentRef, routeNamespace: string): Parent | null | undefined {
    if (!isMeshParent(ref)) return undefined;
    const { name, namespace = routeNamespace, port } = ref;
    const known = (ref.kind === 'Service' ? this.#services : this.#entries).get(
      `${namespace}/${name}`,
    );
    if (known === undefined || (port !== undefined && !known.ports.has(port))) return null;
    return { hosts: known.hosts, namespace };
  }

  /** @param shared others than the referrer's own namespace are routed there: its owner must have granted it */
  backend(ref: BackendObjectRef, from: Referrer, shared: boolean): Backend {
    const { group, kind, name, namespace = from.namespace, port = 0 } = ref;
    if (kind === 'Hostname' && group === 'networking.istio.io') {
      const destination = { host: name.toLowerCase(), port, subset: '' };
      if (this.#knowsHost(destination.host)) return { destination };
      return { destination, unresolved: notFound(`no service has the host ${name}`) };
    }
    const destination = { host: serviceHost(name, namespace), port, subset: '' };
    if (kind !== 'Service' || (group !== '' && group !== 'core')) {
      const message = `${kind} ${namespace}/${name} (${group}) is no kind of backend`;
      return { destination, unresolved: { reason: 'InvalidKind', message } };
    }
    if (shared && namespace !== from.namespace && !this.#permits(ref, from, namespace)) {
      const message = `no ReferenceGrant in ${namespace} lets ${from.kind}s of ${from.namespace} send calls to Service ${name}`;
      return { destination, unresolved: { reason: 'RefNotPermitted', message } };
    }
    const service = this.#services.get(`${namespace}/${name}`);
    if (service === undefined) {
      return { destination, unresolved: notFound(`there is no Service ${namespace}/${name}`) };
    }
    if (!service.ports.has(port)) {
      const message = `Service ${namespace}/${name} has no port ${port}`;
      return { destination, unresolved: notFound(message) };
    }
    return { destination };
  }

  #knowsHost(host: string): boolean {
    if (this.#entryHosts.has(host)) return true;
    const [name = '', namespace = ''] = host.split('.');
    return this.#services.has(`${namespace}/${name}`) && host === serviceHost(name, namespace);
  }

  #permits(ref: BackendObjectRef, from: Referrer, namespace: string): boolean {
    return (this.#grants.get(namespace) ?? []).some(
      ({ spec }) =>
        spec.from.some(
          (one) =>
            one.group === gatewayGroup &&
            one.kind === from.kind &&
            one.namespace === from.namespace,
        ) &&
        spec.to.some(
          (one) =>
            one.group === ref.group &&
            one.kind === ref.kind &&
            (one.name === undefined || one.name === ref.name),
        ),
    );
  }
}

/** Whether a parent stands for calls between workloads. */
export function isMeshParent({ group, kind }: ParentRef): boolean {
  return (
    (kind === 'Service' && (group === '' || group === 'core')) ||
    (kind === 'ServiceEntry' && group === 'networking.istio.io')
  );
}

function notFound(message: string): Unresolved {
  return { reason: 'BackendNotFound', message };
}
