// How a workload treats the services that it calls: of all rules for a host the one that counts, as few entries as will do.
import type { DestinationRule } from '#api/kinds/destination-rule.ts';
import type { MeshConfig } from '#api/kinds/mesh-config.ts';
import type { MeshResources } from '#api/mesh.ts';
import { nameOf } from '#api/origin.ts';
import type { Service } from '#api/snapshot.ts';
import type { DestinationPolicy } from '#api/traffic/destination.ts';
import type { Workload } from '#api/workload.ts';

import { HostMap } from './hosts.ts';
import { type CompiledRule, compileRule, type PolicyExtras } from './policies.ts';
import { type RuleGroup, RuleIndex } from './rule-index.ts';

type Rules = RuleGroup<DestinationRule>;

/** All that is said of one host. Equal picks are one object. */
interface Pick {
  readonly rules: Rules | null;
  readonly source: string;
  /** The one host that all of it was written for, where that is a wildcard. */
  readonly wildcard: string | null;
  readonly compiled: CompiledRule;
  /** The same objects: the same pick. */
  readonly inputs: readonly unknown[];
  readonly made: Map<string, DestinationPolicy>;
}

const nothing: readonly DestinationPolicy[] = [];

export class Destinations {
  readonly #mesh: MeshConfig;
  readonly #rules: RuleIndex<DestinationRule>;
  readonly #isEmpty: boolean;
  readonly #picks = new Map<string, Pick>();
  readonly #before: ReadonlyMap<string, Pick>;
  readonly #lists = new WeakMap<readonly Service[], Map<string, readonly DestinationPolicy[]>>();
  readonly #meshPick: Pick | null;

  /** @param previous its equal parts are used again, so that a comparison sees at once that they are equal */
  constructor(resources: MeshResources, previous: Destinations | null) {
    const { meshConfig, destinationRules } = resources;
    const privately = meshConfig.defaultDestinationRuleExportTo?.includes('.') ?? false;
    this.#mesh = meshConfig;
    this.#rules = new RuleIndex(destinationRules, meshConfig.rootNamespace, privately);
    this.#before = previous === null ? new Map() : previous.#picks;
    this.#meshPick = saysSomething(meshConfig) ? this.#pick(null, {}, []) : null;
    this.#isEmpty = destinationRules.length === 0 && this.#meshPick === null;
  }

  /** By host. The same objects, and for the same services the same list, while nothing changes. */
  of(workload: Workload, services: readonly Service[]): readonly DestinationPolicy[] {
    if (this.#isEmpty) return nothing;
    let lists = this.#lists.get(services);
    if (lists === undefined) this.#lists.set(services, (lists = new Map()));
    const key = `${workload.namespace} ${this.#rules.keyOf(workload)}`;
    let list = lists.get(key);
    if (list === undefined) lists.set(key, (list = this.#list(workload, services)));
    return list;
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
    const rules = this.#rules.choose(workload, { host, namespace });
    if (rules === null) return this.#meshPick;
    return this.#pick(rules, {}, [rules.host]);
  }

  /** @param hosts that its parts were written for */
  #pick(rules: Rules | null, extras: PolicyExtras, hosts: readonly string[]): Pick {
    const source = rules === null ? 'MeshConfig' : sourceOf(rules);
    const key = `${source} ${rules === null ? '' : rules.rules.map(nameOf).join(' ')}`;
    const known = this.#picks.get(key);
    if (known !== undefined) return known;
    const inputs = [this.#mesh, ...(rules?.rules ?? [])];
    const old = this.#before.get(key);
    const compiled =
      old !== undefined && sameItems(old.inputs, inputs)
        ? old
        : this.#compile(rules, extras, source, hosts, inputs);
    this.#picks.set(key, compiled);
    return compiled;
  }

  #compile(
    rules: Rules | null,
    extras: PolicyExtras,
    source: string,
    hosts: readonly string[],
    inputs: readonly unknown[],
  ): Pick {
    const [host = '*', ...others] = new Set(hosts);
    return {
      rules,
      source,
      wildcard: host.startsWith('*') && others.length === 0 ? host : null,
      compiled: compileRule(rules?.trafficPolicy, rules?.subsets ?? [], this.#mesh, extras),
      inputs,
      made: new Map(),
    };
  }
}

function policyOf({ source, compiled, made }: Pick, host: string): DestinationPolicy {
  let policy = made.get(host);
  if (policy === undefined) made.set(host, (policy = { host, source, ...compiled }));
  return policy;
}

/** Keeps a wildcard away from a host for which nothing counts. */
function silence(host: string): DestinationPolicy {
  return { host, source: '', policy: {}, ports: {}, subsets: [] };
}

function sourceOf({ rules }: Rules): string {
  const [first] = rules;
  return first === undefined ? '' : nameOf(first);
}

/** Whether hosts without a rule are treated in some way too. */
function saysSomething(mesh: MeshConfig): boolean {
  const { policy } = compileRule(undefined, [], mesh, {});
  return Object.keys(policy).length > 0;
}

function sameItems(a: readonly unknown[], b: readonly unknown[]): boolean {
  return a.length === b.length && a.every((item, i) => item === b[i]);
}
