// Identities that may call: those of the mesh's sidecars, as people write them.
import { parseSpiffeId } from '#api/spiffe.ts';

import type { Collector } from './collector.ts';

/** `namespace/account` of each sidecar. */
export async function knownCallers(collector: Collector): Promise<string[]> {
  const { value } = await collector.states();
  const identities = (value ?? []).flatMap((one) => one.value?.identity ?? []);
  return [...new Set(identities.map(formatSpiffeAccount))].filter((one) => one !== '').toSorted();
}

/** `namespace/account`; what is no identity of a workload stays as it is. */
export function formatSpiffeAccount(identity: string): string {
  const id = parseSpiffeId(identity);
  return id === null ? identity : `${id.namespace}/${id.serviceAccount}`;
}
