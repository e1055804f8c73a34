// Which policy counts for calls to a service, to one of its ports, to a subset of it.
import type { Service } from '#api/snapshot.ts';
import type { DestinationPolicy, SubsetPolicy, TrafficPolicy } from '#api/traffic/destination.ts';

/** Nothing is said. */
export const noPolicy: TrafficPolicy = Object.freeze({});
const noSubsets: readonly SubsetPolicy[] = Object.freeze([]);

export class DestinationPolicies {
  readonly #byHost = new Map<string, DestinationPolicy>();
  /** `.example.com`, the longest first. */
  readonly #wildcards: (readonly [suffix: string, policy: DestinationPolicy])[] = [];
  /** Some ask where the caller's fellows run. */
  readonly zoneAware: boolean;

  constructor(policies: readonly DestinationPolicy[] = []) {
    for (const policy of policies) {
      if (policy.host.startsWith('*')) this.#wildcards.push([policy.host.slice(1), policy]);
      else if (!this.#byHost.has(policy.host)) this.#byHost.set(policy.host, policy);
    }
    this.#wildcards.sort(([a], [b]) => b.length - a.length);
    this.zoneAware = policies.some((one) =>
      [one, ...one.subsets].some(({ policy, ports }) =>
        [policy, ...Object.values(ports)].some(({ locality }) => locality?.zoneAware !== undefined),
      ),
    );
  }

  /** By its first host alone; an exact host wins over the longest wildcard. */
  find(service: Service): DestinationPolicy | null {
    if (this.#byHost.size === 0 && this.#wildcards.length === 0) return null;
    const host = (service.hosts[0] ?? service.name).toLowerCase();
    const exact = this.#byHost.get(host);
    if (exact !== undefined) return exact;
    return this.#wildcards.find(([suffix]) => host.endsWith(suffix))?.[1] ?? null;
  }
}

export function policyOfPort(policy: DestinationPolicy | null, port: number): TrafficPolicy {
  if (policy === null) return noPolicy;
  return policy.ports[port] ?? policy.policy;
}

export function policyOfSubset(subset: SubsetPolicy, port: number): TrafficPolicy {
  return subset.ports[port] ?? subset.policy;
}

export function subsetsOf(policy: DestinationPolicy | null): readonly SubsetPolicy[] {
  return policy?.subsets ?? noSubsets;
}
