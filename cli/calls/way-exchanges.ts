// The TokenExchanges that calls of a workload meet on their way out.
import { nameOf } from '#api/origin.ts';
import type { Snapshot } from '#api/snapshot.ts';
import { compileExchanges } from '#sidecar/credentials/exchanges.ts';

import { type Source, sourceAt } from './source.ts';

/** Each once. @param called the hosts of each service (or of each name outside) that a call may get to */
export function exchangesOf(
  { extensions = [] }: Snapshot,
  called: readonly (readonly string[])[],
): Source[] {
  const exchanges = compileExchanges(extensions);
  if (exchanges === null) return [];
  const met = new Set(called.map((hosts) => exchanges.find(hosts)?.name));
  return extensions
    .filter((one) => [...met].some((name) => nameOf(one) === `TokenExchange ${name}`))
    .map((one) => sourceAt(one, 'spec'));
}
