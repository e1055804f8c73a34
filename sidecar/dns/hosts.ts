// Names of the mesh and their addresses, for those who look names up: made of the services of a snapshot when it is first asked.
import { isIP, isIPv4 } from 'node:net';

import { isAutomaticAddress } from '#api/automatic-address.ts';
import type { Service } from '#api/snapshot.ts';
import { HostMap } from '#api/traffic/hosts.ts';

import { hostsOf, isKubernetes } from '../outbound/routes.ts';

export interface Host {
  /** What the name is another name of, when a search list has made it longer; else null. */
  readonly canonical: string | null;
  readonly ipv4: readonly string[];
  readonly ipv6: readonly string[];
}

export interface Families {
  readonly ipv4: boolean;
  readonly ipv6: boolean;
}

/** Immutable, of one list of services. */
export class Hosts {
  readonly #services = new HostMap<Service>();
  readonly #suffix: string;
  readonly #families: Families;

  /**
   * @param namespace of the caller
   * @param search the first of its search list: what its resolver adds to names at first
   * @param families of automatic addresses that can be connected to
   */
  constructor(services: readonly Service[], namespace: string, search: string, families: Families) {
    for (const service of services) {
      for (const host of hostsOf(service, namespace)) {
        if (this.#services.get(host) === undefined) this.#services.set(host, service);
      }
    }
    this.#suffix = search === '' ? '' : `.${search}`;
    this.#families = families;
  }

  /** Null: others know of it, if anybody does. @param name lower-case, without a final dot */
  find(name: string): Host | null {
    const service = this.#services.find(name);
    if (service !== undefined) return this.#hostOf(service, null);
    // As in Istio: the first of all the names that a resolver makes of one is answered at once.
    if (this.#suffix === '' || !name.endsWith(this.#suffix)) return null;
    const short = name.slice(0, -this.#suffix.length);
    const meant = this.#services.find(short);
    return meant === undefined ? null : this.#hostOf(meant, canonicalOf(meant, short));
  }

  #hostOf(service: Service, canonical: string | null): Host | null {
    const addresses = addressesOf(service);
    if (addresses.length === 0) return null;
    const { ipv4, ipv6 } = this.#families;
    const usable = addresses.filter(
      (one) => !isAutomaticAddress(one) || (isIPv4(one) ? ipv4 : ipv6),
    );
    return {
      canonical,
      ipv4: usable.filter((one) => isIPv4(one)),
      ipv6: usable.filter((one) => !isIPv4(one)),
    };
  }
}

/** A wildcard is the name of nobody. */
function canonicalOf({ hosts: [host = ''] }: Service, short: string): string {
  return host.startsWith('*') ? short : host.toLowerCase();
}

/** A block is no address. A Service without one (headless) has those of its endpoints, as in Kubernetes' own DNS. */
function addressesOf(service: Service): readonly string[] {
  if (service.addresses.length > 0) {
    return service.addresses.filter((address) => !address.includes('/'));
  }
  if (!isKubernetes(service)) return [];
  const all = service.ports.flatMap(({ endpoints }) => endpoints.map(({ address }) => address));
  // Endpoints outside of the cluster may be names.
  return [...new Set(all)].filter((address) => isIP(address) !== 0);
}
