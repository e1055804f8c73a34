// The policies of each workload: chosen anew only where one that may apply to it came, changed or went.
import type { PeerAuthentication } from '#api/kinds/peer-authentication.ts';
import type { PolicyResource } from '#api/snapshot.ts';
import type { Workload } from '#api/workload.ts';
import { appliesTo, selectsLabels } from '#policy/attach.ts';

import { sameItems } from './same-items.ts';

type List = readonly PolicyResource[];

interface Choice {
  readonly root: List;
  readonly own: List;
  readonly chosen: List;
}

const nothing: List = [];
const kindsInOrder = ['AuthorizationPolicy', 'RequestAuthentication', 'PeerAuthentication'];

export class PolicyLists {
  readonly #rootNamespace: string;
  /** The same list while none of a namespace's policies changes. */
  readonly #byNamespace: ReadonlyMap<string, List>;
  readonly #choices: WeakMap<Workload, Choice>;

  /** @param previous its lists are used again where they are still true */
  constructor(policies: List, rootNamespace: string, previous: PolicyLists | null) {
    this.#rootNamespace = rootNamespace;
    const lists = new Map<string, List>();
    for (const [namespace, list] of Map.groupBy(policies, ({ metadata }) => metadata.namespace)) {
      const old = previous === null ? undefined : previous.#byNamespace.get(namespace);
      lists.set(namespace, old !== undefined && sameItems(old, list) ? old : list);
    }
    this.#byNamespace = lists;
    const sameRoot = previous !== null && previous.#rootNamespace === rootNamespace;
    this.#choices = sameRoot ? previous.#choices : new WeakMap();
  }

  /** Those that may apply to a workload, by kind and then oldest first. The same list while none of them changes. */
  of(workload: Workload): List {
    const { namespace } = workload;
    const own = this.#byNamespace.get(namespace) ?? nothing;
    const root =
      namespace === this.#rootNamespace
        ? nothing
        : (this.#byNamespace.get(this.#rootNamespace) ?? nothing);
    const known = this.#choices.get(workload);
    if (known?.root === root && known.own === own) return known.chosen;
    const found = this.#choose(workload, [...root, ...own]);
    const chosen = known !== undefined && sameItems(known.chosen, found) ? known.chosen : found;
    this.#choices.set(workload, { root, own, chosen });
    return chosen;
  }

  #choose(workload: Workload, policies: List): List {
    const all = policies.filter((policy) =>
      policy.kind === 'PeerAuthentication'
        ? mayApply(policy, workload)
        : appliesTo(policy, workload, this.#rootNamespace),
    );
    return kindsInOrder.flatMap((kind) => all.filter((policy) => policy.kind === kind));
  }
}

/** Which of several counts is for the policy compiler to say; this only leaves out what never does. */
function mayApply(policy: PeerAuthentication, workload: Workload): boolean {
  return selectsLabels(policy.spec.selector?.matchLabels ?? {}, workload.labels);
}
