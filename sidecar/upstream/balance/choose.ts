// The balancer that a policy names; Istio's default is least request.
import type { HashKey, LoadBalancing } from '#api/traffic/destination.ts';

import type { Balanced, Balancer, Random } from './balancer.ts';
import { LeastRequest } from './least-request.ts';
import { Maglev } from './maglev.ts';
import { RandomChoice } from './random.ts';
import { RingHash } from './ring-hash.ts';
import { RoundRobin } from './round-robin.ts';

export function newBalancer<M extends Balanced>(
  policy: LoadBalancing | undefined,
  random: Random,
): Balancer<M> {
  switch (policy?.kind) {
    case 'round-robin':
      return new RoundRobin(random);
    case 'random':
      return new RandomChoice(random);
    case 'ring-hash':
      return new RingHash(policy.minimumRingSize, random);
    case 'maglev':
      return new Maglev(policy.tableSize, random);
    // Also a call to an original address that is balanced; no endpoint is better than another.
    default:
      return new LeastRequest(random);
  }
}

/** What of a call is hashed; null: the policy balances by nothing of the call. */
export function hashKeyOf(policy: LoadBalancing | undefined): HashKey | null {
  return policy?.kind === 'ring-hash' || policy?.kind === 'maglev' ? policy.key : null;
}
