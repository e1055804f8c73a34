// Where the ports of a Service lead in a cluster: the endpoints of its EndpointSlices that take calls now.
import { hasProxy } from '#api/in-mesh.ts';
import { workloadAnnotation } from '#api/injection/names.ts';
import {
  serviceNameLabel,
  type EndpointSlice,
  type SliceEndpoint,
} from '#api/kinds/endpoint-slice.ts';
import type { Pod } from '#api/kinds/pod.ts';
import type { ServicePortSpec, ServiceResource } from '#api/kinds/service.ts';
import { localityOf } from '#api/locality.ts';
import type { MeshResources } from '#api/mesh.ts';
import type { Endpoint } from '#api/snapshot.ts';
import { formatSpiffeId } from '#api/spiffe.ts';

import { byPlace, type EndpointFinder } from './endpoints.ts';
import { portToCall, readLocalPorts } from './local-ports.ts';

/** `draining`: on its way out, and still answering. */
type State = 'ready' | 'draining';

interface Candidate {
  readonly state: State;
  readonly endpoint: Endpoint;
}

const knownAddresses = new WeakMap<Pod, readonly string[]>();

export class SliceIndex implements EndpointFinder {
  readonly #trustDomain: string;
  readonly #slices = new Map<string, EndpointSlice[]>();
  readonly #pods = new Map<string, Pod>();
  readonly #byAddress = new Map<string, Pod>();

  constructor(mesh: MeshResources) {
    this.#trustDomain = mesh.meshConfig.trustDomain;
    for (const slice of mesh.endpointSlices) {
      const service = slice.metadata.labels[serviceNameLabel];
      if (service === undefined || slice.spec.addressType === 'FQDN') continue;
      const key = `${slice.metadata.namespace}/${service}`;
      const slices = this.#slices.get(key);
      if (slices === undefined) this.#slices.set(key, [slice]);
      else slices.push(slice);
    }
    for (const pod of mesh.pods) {
      this.#pods.set(`${pod.metadata.namespace}/${pod.metadata.name}`, pod);
      for (const address of addressesOf(pod)) this.#byAddress.set(address, pod);
    }
  }

  /** Whether there are slices of it, if only empty ones. */
  knows({ metadata }: ServiceResource): boolean {
    return this.#slices.has(`${metadata.namespace}/${metadata.name}`);
  }

  endpoints(service: ServiceResource, port: ServicePortSpec): Endpoint[] {
    const found = new Map<string, Candidate>();
    for (const slice of this.#slicesOf(service)) {
      for (const target of slice.spec.ports) {
        if (target.name !== port.name || target.protocol !== 'TCP') continue;
        const number = target.port ?? portWithout(port);
        for (const one of slice.spec.endpoints) {
          const candidate = this.#candidate(service, slice, one, number);
          if (candidate === null) continue;
          // While endpoints move between slices, one may be in two of them for a moment.
          const key = `${candidate.endpoint.address} ${number}`;
          if (found.get(key)?.state !== 'ready') found.set(key, candidate);
        }
      }
    }
    const all = [...found.values()];
    const ready = all.filter(({ state }) => state === 'ready');
    // As kube-proxy does: the last ones of a Service answer until they are gone.
    const chosen = ready.length > 0 ? ready : all;
    return chosen.map(({ endpoint }) => endpoint).toSorted(byPlace);
  }

  inputsOf(service: ServiceResource): readonly unknown[] {
    const slices = this.#slicesOf(service);
    const pods = slices.flatMap((slice) =>
      slice.spec.endpoints.map((endpoint) => this.#podOf(slice, endpoint)),
    );
    return [service, this.#trustDomain, ...slices, ...pods];
  }

  /** Both families of a pod would count twice in balancing, so only the Service's first; a headless one has each address. */
  #slicesOf(service: ServiceResource): readonly EndpointSlice[] {
    const { namespace, name } = service.metadata;
    const slices = this.#slices.get(`${namespace}/${name}`) ?? [];
    const { clusterIP = '', ipFamilies = [] } = service.spec;
    if (clusterIP === 'None') return slices;
    const family = ipFamilies[0] ?? (clusterIP.includes(':') ? 'IPv6' : 'IPv4');
    const own = slices.filter(({ spec }) => spec.addressType === family);
    return own.some(({ spec }) => spec.endpoints.length > 0) ? own : slices;
  }

  #candidate(
    service: ServiceResource,
    slice: EndpointSlice,
    one: SliceEndpoint,
    port: number,
  ): Candidate | null {
    const [address] = one.addresses;
    const state = stateOf(one);
    const pod = this.#podOf(slice, one);
    if (address === undefined || state === null || pod === 'unknown') return null;
    const { namespace, name } = service.metadata;
    const locality = localityOf(pod === null ? {} : pod.metadata.labels, one.zone);
    const place = {
      ...(locality !== '' && { locality }),
      ...(one.zone === undefined ? {} : { zone: one.zone }),
      ...(one.nodeName === undefined ? {} : { node: one.nodeName }),
    };
    if (pod === null) {
      const endpoint = { address, port, identity: null, workload: name, namespace, labels: {} };
      return { state, endpoint: { ...endpoint, ...place } };
    }
    const { metadata, spec } = pod;
    const identity = hasProxy(spec)
      ? formatSpiffeId({
          trustDomain: this.#trustDomain,
          namespace: metadata.namespace,
          serviceAccount: spec.serviceAccountName,
        })
      : null;
    const endpoint: Endpoint = {
      address,
      // A slice names the application's own port, as everybody else must know it.
      port: portToCall(readLocalPorts(metadata.annotations), port),
      identity,
      workload: metadata.annotations[workloadAnnotation] ?? metadata.name,
      namespace: metadata.namespace,
      labels: metadata.labels,
      ...place,
    };
    return { state, endpoint };
  }

  /**
   * The pod behind an endpoint. Null: there is none. `unknown`: slices and pods are watched apart, and this one was not seen
   * yet, or another one of its name was: its identity cannot be told, and no call may go there without.
   */
  #podOf(slice: EndpointSlice, { addresses, targetRef }: SliceEndpoint): Pod | null | 'unknown' {
    const address = addresses[0] ?? '';
    if (targetRef?.kind !== 'Pod') return this.#byAddress.get(address) ?? null;
    const namespace = targetRef.namespace || slice.metadata.namespace;
    const pod = this.#pods.get(`${namespace}/${targetRef.name}`);
    if (pod === undefined) return 'unknown';
    const { uid } = pod.metadata;
    const same =
      targetRef.uid !== undefined && uid !== undefined
        ? targetRef.uid === uid
        : addressesOf(pod).includes(address);
    return same ? pod : 'unknown';
  }
}

/** Null: it takes no calls. */
function stateOf({ conditions }: SliceEndpoint): State | null {
  const { ready = true, serving = ready, terminating = false } = conditions;
  if (ready) return 'ready';
  return serving && terminating ? 'draining' : null;
}

/** Each pod is asked at every change of any other. */
function addressesOf(pod: Pod): readonly string[] {
  let addresses = knownAddresses.get(pod);
  if (addresses === undefined) {
    addresses = readAddresses(pod);
    knownAddresses.set(pod, addresses);
  }
  return addresses;
}

/** Its own: a pod of the host's network shares the node's with others, and one that ended has given its address back. */
function readAddresses({ spec, status }: Pod): string[] {
  const { phase, podIP = '', podIPs = [] } = status ?? {};
  if (spec.hostNetwork || phase === 'Succeeded' || phase === 'Failed') return [];
  return [...new Set([podIP, ...podIPs.map(({ ip }) => ip)])].filter((ip) => ip !== '');
}

/** Of a slice for all ports: the number that the Service itself names. */
function portWithout({ targetPort, port }: ServicePortSpec): number {
  return typeof targetPort === 'number' ? targetPort : port;
}
