// Which of the rules for a host counts for a caller: Istio's order of namespaces, exports, selectors and merging.
import type { SubsetSpec } from '#api/kinds/destination-rule.ts';
import type { TrafficPolicySpec } from '#api/kinds/traffic-policy.ts';
import type { Workload } from '#api/workload.ts';
import { selectsLabels } from '#policy/attach.ts';

import { fullHost } from '#api/traffic/host.ts';
import { HostMap } from '#api/traffic/hosts.ts';

/** A rule as it is written. DestinationRule and the kinds of our own that have a host all are. */
export interface HostRule {
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace: string };
  readonly spec: {
    readonly host: string;
    readonly exportTo?: readonly string[];
    readonly workloadSelector?: { readonly matchLabels: Readonly<Record<string, string>> };
    readonly trafficPolicy?: TrafficPolicySpec;
    readonly subsets?: readonly SubsetSpec[];
  };
}

/** Rules of one host that became one. */
export interface RuleGroup<R extends HostRule> {
  readonly host: string;
  readonly selector: Readonly<Record<string, string>> | null;
  /** Empty: as the mesh says. */
  exportTo: ReadonlySet<string>;
  trafficPolicy: TrafficPolicySpec | undefined;
  readonly subsets: SubsetSpec[];
  /** The oldest, then those that it took something from. */
  readonly rules: R[];
}

export interface Called {
  readonly host: string;
  readonly namespace: string;
}

type Pool<R extends HostRule> = Map<string, HostMap<RuleGroup<R>[]>>;

export class RuleIndex<R extends HostRule> {
  readonly #rootNamespace: string;
  readonly #isEmpty: boolean;
  /** Of a namespace's own callers. */
  readonly #local: Pool<R> = new Map();
  /** Of callers of other namespaces. */
  readonly #exported: Pool<R> = new Map();
  /** What callers of the root namespace alone have there. */
  readonly #rootOwn: Pool<R> = new Map();
  readonly #selectors = new Map<string, Readonly<Record<string, string>>[]>();

  /**
   * @param rules oldest first
   * @param privately whether a rule that does not say who sees it is its own namespace's alone
   */
  constructor(rules: readonly R[], rootNamespace: string, privately: boolean) {
    this.#rootNamespace = rootNamespace;
    this.#isEmpty = rules.length === 0;
    for (const rule of rules) {
      const { namespace } = rule.metadata;
      const selector = rule.spec.workloadSelector?.matchLabels;
      // With a selector it is for callers of its own namespace, whatever it says.
      const words = selector === undefined ? (rule.spec.exportTo ?? []) : ['.'];
      const exportTo = new Set(words.map((word) => (word === '.' ? namespace : word)));
      const isOwn = exportTo.has(namespace);
      if (exportTo.size === 0 || exportTo.has('*') || isOwn) add(this.#local, rule, exportTo);
      const isPrivate = exportTo.size === 0 ? privately : isOwn && exportTo.size === 1;
      if (!isPrivate) add(this.#exported, rule, exportTo);
      else if (namespace === rootNamespace) add(this.#rootOwn, rule, exportTo);
      if (selector === undefined) continue;
      this.#selectors.set(namespace, [...(this.#selectors.get(namespace) ?? []), selector]);
    }
  }

  /** Callers of one namespace with equal keys get equal answers. */
  keyOf({ namespace, labels }: Workload): string {
    const selectors = this.#selectors.get(namespace) ?? [];
    return selectors.map((one) => (selectsLabels(one, labels) ? '1' : '0')).join('');
  }

  /** The caller's namespace, the service's, the root namespace: the first that has a rule says which counts. */
  choose(caller: Workload, { host, namespace }: Called): RuleGroup<R> | null {
    if (this.#isEmpty) return null;
    const isRoot = caller.namespace === this.#rootNamespace;
    const own = (isRoot ? this.#rootOwn : this.#local).get(caller.namespace)?.find(host);
    const groups =
      own ??
      this.#exportedOf(namespace, host, caller.namespace) ??
      this.#exportedOf(this.#rootNamespace, host, caller.namespace) ??
      [];
    let general: RuleGroup<R> | null = null;
    for (const group of groups) {
      if (group.selector === null) general ??= group;
      else if (selectsLabels(group.selector, caller.labels)) return group;
    }
    return general;
  }

  #exportedOf(namespace: string, host: string, caller: string): RuleGroup<R>[] | undefined {
    const groups = this.#exported.get(namespace)?.find(host);
    const seen = groups?.filter(
      ({ exportTo }) => exportTo.size === 0 || exportTo.has('*') || exportTo.has(caller),
    );
    return seen === undefined || seen.length === 0 ? undefined : seen;
  }
}

/** Of several rules of a host the oldest counts; the others add subsets, and a policy where it has none. */
function add<R extends HostRule>(pool: Pool<R>, rule: R, exportTo: ReadonlySet<string>): void {
  const { namespace } = rule.metadata;
  const { trafficPolicy, subsets = [], workloadSelector } = rule.spec;
  const host = fullHost(rule.spec.host, namespace);
  const selector = workloadSelector?.matchLabels ?? null;
  const hosts = pool.get(namespace) ?? new HostMap<RuleGroup<R>[]>();
  pool.set(namespace, hosts);
  const groups = hosts.get(host) ?? [];
  let isMerged = false;
  for (const group of groups) {
    const alike = sameLabels(group.selector, selector);
    // As in Istio rules with and without a selector take from each other, and those with different ones do not.
    if (group.selector !== null && selector !== null && !alike) continue;
    isMerged ||= alike;
    const names = new Set(group.subsets.map(({ name }) => name));
    group.subsets.push(...subsets.filter(({ name }) => !names.has(name)));
    group.trafficPolicy ??= trafficPolicy;
    if (group.exportTo.size === 0) group.exportTo = exportTo;
    group.rules.push(rule);
  }
  if (isMerged) return;
  const group = { host, selector, exportTo, trafficPolicy, subsets: [...subsets], rules: [rule] };
  hosts.set(host, [...groups, group]);
}

function sameLabels(
  a: Readonly<Record<string, string>> | null,
  b: Readonly<Record<string, string>> | null,
): boolean {
  if (a === null || b === null) return a === b;
  const keys = Object.keys(a);
  return keys.length === Object.keys(b).length && keys.every((key) => a[key] === b[key]);
}
