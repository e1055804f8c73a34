// ServiceEntries as services of the catalog: by resolution, with endpoints that are listed, selected, or names to look up.
import type { ServiceEntry, ServiceEntrySpec } from '#api/kinds/service-entry.ts';
import { protocolOf } from '#api/port-protocol.ts';
import type { Endpoint, Service, ServicePort, ServiceResolution } from '#api/snapshot.ts';
import { audienceOf } from '#api/traffic/audience.ts';

import { automaticAddressesOf, type AutomaticAddresses } from './automatic-addresses.ts';
import { byPlace, type PodFinder } from './endpoints.ts';
import type { Listed } from './listing.ts';
import { madeFrom } from './made-of.ts';
import { outsideEndpoint, type WorkloadEntries } from './workload-entries.ts';

type EntryPort = ServiceEntrySpec['ports'][number];

const resolutions: Readonly<Record<ServiceEntrySpec['resolution'], ServiceResolution | null>> = {
  NONE: 'none',
  STATIC: null,
  DNS: 'dns',
  DNS_ROUND_ROBIN: 'dns-round-robin',
  DYNAMIC_DNS: 'dynamic-dns',
};

export interface EntrySurroundings {
  readonly trustDomain: string;
  /** Asked only for entries that select. */
  readonly pods: () => PodFinder;
  readonly workloads: WorkloadEntries;
  /** Of entries that do not say who sees them. */
  readonly exportTo: readonly string[];
  /** Of entries that have no addresses. */
  readonly automatic: AutomaticAddresses;
}

/** One service for each host. */
export function listEntry(entry: ServiceEntry, around: EntrySurroundings): Listed[] {
  const { spec, metadata } = entry;
  const resolution = resolutions[spec.resolution];
  const written = spec.exportTo.length > 0 ? spec.exportTo : around.exportTo;
  const exportTo = audienceOf(written, metadata.namespace);
  return spec.hosts.map((written) => {
    const host = written.toLowerCase();
    const service: Service = {
      name: written,
      namespace: metadata.namespace,
      hosts: [host],
      addresses:
        spec.addresses.length > 0
          ? spec.addresses
          : automaticAddressesOf(around.automatic, entry, host),
      ports: spec.ports.map((port): ServicePort => ({
        port: port.number,
        name: port.name,
        protocol: protocolOf({ name: port.protocol, port: port.number }),
        endpoints: endpointsOf(entry, host, port, around),
      })),
      ...(resolution !== null && { resolution }),
      ...(spec.subjectAltNames.length > 0 && { subjectAltNames: spec.subjectAltNames }),
    };
    madeFrom(service, [entry]);
    return { service, shortHost: null, exportTo, aliases: [], inputs: null };
  });
}

function endpointsOf(
  entry: ServiceEntry,
  host: string,
  port: EntryPort,
  around: EntrySurroundings,
): Endpoint[] {
  const { spec, metadata } = entry;
  if (spec.resolution === 'NONE' || spec.resolution === 'DYNAMIC_DNS') return [];
  const { namespace } = metadata;
  const target = port.targetPort ?? port.number;
  const place = {
    namespace,
    workload: metadata.name,
    trustDomain: around.trustDomain,
    // As in Istio: what is outside of the mesh gets no mutual TLS of the mesh, whatever its endpoints say.
    inMesh: spec.location === 'MESH_INTERNAL',
  };
  if (spec.workloadSelector !== undefined) {
    const { labels } = spec.workloadSelector;
    const pods = around.pods().selected(namespace, labels, target);
    const outside = around.workloads.selected(namespace, labels).map((one) =>
      outsideEndpoint(one.spec, one.spec.ports?.[port.name] ?? target, {
        ...place,
        workload: one.metadata.name,
      }),
    );
    const all = [...pods, ...outside];
    const seen = place.inMesh ? all : all.map((one) => ({ ...one, identity: null }));
    return seen.toSorted(byPlace);
  }
  if (spec.endpoints.length === 0 && spec.resolution !== 'STATIC') {
    return [{ ...outsideEndpoint({ address: host, labels: {} }, target, place) }];
  }
  return spec.endpoints.map((one) => outsideEndpoint(one, one.ports?.[port.name] ?? target, place));
}
