// The hosts that can be called: full names of Services, and hosts of ServiceEntries.
import type { ServiceEntry } from '#api/kinds/service-entry.ts';
import type { ServiceResource } from '#api/kinds/service.ts';
import type { MeshResources } from '#api/mesh.ts';
import { nearest } from '#api/spelling.ts';
import { hostCovers, serviceHost } from '#api/traffic/host.ts';

const clusterDomain = 'svc.cluster.local';

export interface KnownHost {
  readonly host: string;
  readonly namespace: string;
  readonly resource: ServiceResource | ServiceEntry;
}

export function knownHosts(mesh: MeshResources): readonly KnownHost[] {
  return [
    ...mesh.services.map((resource) => {
      const { name, namespace } = resource.metadata;
      return { host: serviceHost(name, namespace), namespace, resource };
    }),
    ...mesh.serviceEntries.flatMap((resource) =>
      resource.spec.hosts.map((host) => ({
        host: host.toLowerCase(),
        namespace: resource.metadata.namespace,
        resource,
      })),
    ),
  ];
}

/** What a rule for this host is about. A ServiceEntry's wildcard knows what is below it. */
export function hostsUnder(pattern: string, known: readonly KnownHost[]): readonly KnownHost[] {
  return known.filter(({ host }) => hostCovers(pattern, host) || hostCovers(host, pattern));
}

/** What may have been meant: the whole name of a Service, or a word close to it. */
export function mendOfHost(host: string, known: readonly KnownHost[]): string {
  const names = known.map((one) => one.host);
  const whole = names.find(
    (name) => name === `${host}.${clusterDomain}` || name === `${host}.cluster.local`,
  );
  const similar = whole ?? nearest(host, names);
  return similar === null ? 'correct the name, or add a ServiceEntry' : `did you mean ${similar}?`;
}
