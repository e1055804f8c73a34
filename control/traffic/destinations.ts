// How a workload treats the services that it calls: of all rules for a host the one that counts, as few entries as will do.
import type { CircuitBreaker } from '#api/kinds/circuit-breaker.ts';
import type { DestinationRule } from '#api/kinds/destination-rule.ts';
import type { HealthCheck } from '#api/kinds/health-check.ts';
import type { MeshConfig } from '#api/kinds/mesh-config.ts';
import type { MeshResources } from '#api/mesh.ts';
import { nameOf } from '#api/origin.ts';
import type { Service } from '#api/snapshot.ts';
import type { DestinationPolicy } from '#api/traffic/destination.ts';
import type { Workload } from '#api/workload.ts';

import { madeFrom, type Written } from '../made-of.ts';
import { sameItems } from '../same-items.ts';
import { breakerOf, healthCheckOf } from './extras.ts';
import { fullHost } from '#api/traffic/host.ts';
import { HostMap } from '#api/traffic/hosts.ts';
import type { ServedPool } from './inbound.ts';
import { type CompiledRule, compileRule, merge } from './policies.ts';
import { type RuleGroup, RuleIndex } from './rule-index.ts';

type Rules = RuleGroup<DestinationRule>;

/** What counts for one host. */
interface Parts {
  readonly rules: Rules | null;
  readonly breaker: CircuitBreaker | null;
  readonly healthCheck: HealthCheck | null;
}

/** The same, compiled. Equal parts are one object. */
interface Pick {
  readonly source: string;
  /** The one host that all of it was written for, where that is a wildcard. */
  readonly wildcard: string | null;
  readonly compiled: CompiledRule;
  readonly written: readonly Written[];
  /** The same objects: the same pick. */
  readonly inputs: readonly unknown[];
  readonly made: Map<string, DestinationPolicy>;
}

/** The last list for callers of one kind. It depends on names of services, and not on what is behind them. */
interface Latest {
  services: readonly Service[];
  readonly list: readonly DestinationPolicy[];
}

/** Callers of one namespace may see different services, by Sidecars with selectors. */
const scopesMax = 8;
const nothing: readonly DestinationPolicy[] = [];

export class Destinations {
  readonly #mesh: MeshConfig;
  readonly #rules: RuleIndex<DestinationRule>;
  readonly #breakers: RuleIndex<CircuitBreaker>;
  readonly #healthChecks: RuleIndex<HealthCheck>;
  readonly #isEmpty: boolean;
  readonly #picks = new Map<string, Pick>();
  readonly #before: ReadonlyMap<string, Pick>;
  readonly #inputs: readonly unknown[];
  readonly #latest: Map<string, readonly Latest[]>;
  readonly #meshPick: Pick | null;

  /** @param previous its equal parts are used again, so that a comparison sees at once that they are equal */
  constructor(resources: MeshResources, previous: Destinations | null) {
    const { meshConfig, destinationRules, circuitBreakers, healthChecks } = resources;
    const { rootNamespace } = meshConfig;
    const privately = meshConfig.defaultDestinationRuleExportTo?.includes('.') ?? false;
    this.#mesh = meshConfig;
    this.#rules = new RuleIndex(destinationRules, rootNamespace, privately);
    this.#breakers = new RuleIndex(circuitBreakers, rootNamespace, false);
    this.#healthChecks = new RuleIndex(healthChecks, rootNamespace, false);
    this.#inputs = [meshConfig, ...destinationRules, ...circuitBreakers, ...healthChecks];
    const isSame = previous !== null && sameItems(previous.#inputs, this.#inputs);
    this.#latest = isSame ? previous.#latest : new Map();
    this.#before = previous === null ? new Map() : previous.#picks;
    this.#meshPick = saysSomething(meshConfig) ? this.#pick(noParts) : null;
    const written = [destinationRules, circuitBreakers, healthChecks];
    this.#isEmpty = this.#meshPick === null && written.every(({ length }) => length === 0);
  }

  /** By host. The same objects, and for the same services the same list, while nothing changes. */
  of(workload: Workload, services: readonly Service[]): readonly DestinationPolicy[] {
    if (this.#isEmpty) return nothing;
    const rules = [this.#rules, this.#breakers, this.#healthChecks];
    const selected = rules.map((index) => index.keyOf(workload)).join(' ');
    const key = `${workload.namespace} ${selected}`;
    const latest = this.#latest.get(key) ?? [];
    const known = latest.find((one) => sameHosts(one.services, services));
    if (known !== undefined) {
      known.services = services;
      return known.list;
    }
    const list = this.#list(workload, services);
    this.#latest.set(key, [{ services, list }, ...latest.slice(0, scopesMax - 1)]);
    return list;
  }

  /**
   * What the rule for a service says of connections, for those whom it leads to. As in Istio, rules for some callers only
   * (with a selector) say nothing of the callee's side.
   */
  servedPool(
    { namespace, ...workload }: Workload,
    served: { readonly host: string; readonly port: number },
  ): ServedPool | null {
    const anybody = { ...workload, namespace, labels: {} };
    const group = this.#rules.choose(anybody, { host: served.host, namespace });
    const [rule] = group?.rules ?? [];
    if (group === null || rule === undefined) return null;
    const { connectionPool: pool } = merge({}, group.trafficPolicy, served.port);
    return pool === undefined ? null : { source: nameOf(rule), pool };
  }

  #list(workload: Workload, services: readonly Service[]): readonly DestinationPolicy[] {
    const picks = new Map<string, Pick | null>();
    // A rule of a wildcard is written once, and not for each of a thousand services.
    const shared = new HostMap<Pick>();
    for (const { hosts, namespace } of services) {
      const [host] = hosts;
      if (host === undefined) continue;
      const pick = this.#find(workload, host, namespace);
      picks.set(host, pick);
      const wildcard = pick?.wildcard ?? null;
      if (wildcard !== null && pick !== null && shared.get(wildcard) === undefined) {
        shared.set(wildcard, pick);
      }
    }
    const list = [...shared.values()].map((pick) => policyOf(pick, pick.wildcard ?? ''));
    for (const [host, pick] of picks) {
      const covering = shared.find(host) ?? null;
      if (pick === covering) continue;
      list.push(pick === null ? silence(host) : policyOf(pick, host));
    }
    return list.toSorted((a, b) => (a.host < b.host ? -1 : 1));
  }

  #find(workload: Workload, host: string, namespace: string): Pick | null {
    const called = { host, namespace };
    const parts: Parts = {
      rules: this.#rules.choose(workload, called),
      breaker: this.#breakers.choose(workload, called)?.rules[0] ?? null,
      healthCheck: this.#healthChecks.choose(workload, called)?.rules[0] ?? null,
    };
    const isSilent = parts.rules === null && parts.breaker === null && parts.healthCheck === null;
    return isSilent ? this.#meshPick : this.#pick(parts);
  }

  #pick(parts: Parts): Pick {
    const written = writtenOf(parts);
    const key = written.map(nameOf).join(' ');
    const known = this.#picks.get(key);
    if (known !== undefined) return known;
    const inputs = [this.#mesh, ...written];
    const old = this.#before.get(key);
    const pick =
      old !== undefined && sameItems(old.inputs, inputs) ? old : this.#compile(parts, inputs);
    this.#picks.set(key, pick);
    return pick;
  }

  #compile(parts: Parts, inputs: readonly unknown[]): Pick {
    const { rules, breaker, healthCheck } = parts;
    const written = writtenOf(parts);
    const hosts = written.map(({ metadata, spec }) => fullHost(spec.host, metadata.namespace));
    const [host = '*', ...others] = new Set(hosts);
    const [first] = rules?.rules ?? [];
    return {
      source: first === undefined ? (written.length === 0 ? 'MeshConfig' : '') : nameOf(first),
      wildcard: host.startsWith('*') && others.length === 0 ? host : null,
      compiled: compileRule(rules?.trafficPolicy, rules?.subsets ?? [], this.#mesh, {
        ...(breaker !== null && { breaker: breakerOf(breaker) }),
        ...(healthCheck !== null && { healthCheck: healthCheckOf(healthCheck) }),
      }),
      written,
      inputs,
      made: new Map(),
    };
  }
}

const noParts: Parts = { rules: null, breaker: null, healthCheck: null };

function writtenOf({
  rules,
  breaker,
  healthCheck,
}: Parts): readonly (DestinationRule | CircuitBreaker | HealthCheck)[] {
  return [
    ...(rules?.rules ?? []),
    ...(breaker === null ? [] : [breaker]),
    ...(healthCheck === null ? [] : [healthCheck]),
  ];
}

function policyOf({ source, compiled, written, made }: Pick, host: string): DestinationPolicy {
  let policy = made.get(host);
  if (policy === undefined) {
    policy = madeFrom<DestinationPolicy>({ host, source, ...compiled }, written);
    made.set(host, policy);
  }
  return policy;
}

/** Keeps a wildcard away from a host for which nothing counts. */
function silence(host: string): DestinationPolicy {
  return { host, source: '', policy: {}, ports: {}, subsets: [] };
}

/** Whether hosts without a rule are treated in some way too. */
function saysSomething(mesh: MeshConfig): boolean {
  const { policy } = compileRule(undefined, [], mesh, {});
  return Object.keys(policy).length > 0;
}

function sameHosts(a: readonly Service[], b: readonly Service[]): boolean {
  if (a === b) return true;
  return (
    a.length === b.length &&
    a.every((one, i) => {
      const other = b[i];
      return (
        one === other || (one.hosts[0] === other?.hosts[0] && one.namespace === other?.namespace)
      );
    })
  );
}
