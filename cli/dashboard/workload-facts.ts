// What the sidecars of one workload enforce, hold and see: asked of them all, what must be alike of the first.
import type { Snapshot } from '#api/snapshot.ts';

import type { AskableSidecar } from '../sidecars/source.ts';
import { type Answer, askAll } from './ask.ts';
import {
  type Certificates,
  certificatesOf,
  type EndpointHealth,
  endpointHealthOf,
  type LimitUse,
  limitsOf,
  type PortMode,
  portModesOf,
} from './sidecar-answers.ts';

export interface WorkloadFacts {
  readonly sidecars: readonly SidecarFacts[];
  /** What the first that answers enforces; null: none does. */
  readonly snapshot: Snapshot | null;
  readonly ports: readonly PortMode[];
}

/** Null: it did not answer, or knows no such thing. */
export interface SidecarFacts {
  readonly pod: string;
  readonly certificates: Certificates | null;
  readonly health: EndpointHealth | null;
  readonly limits: readonly LimitUse[] | null;
}

export async function readWorkload(sidecars: readonly AskableSidecar[]): Promise<WorkloadFacts> {
  const [certs, clusters, limits, dumps, listeners] = await Promise.all(
    ['/certs', '/clusters', '/limits', '/config_dump', '/listeners'].map((path) =>
      askAll<unknown>(sidecars, path),
    ),
  );
  return {
    sidecars: sidecars.map(({ pod }, i) => ({
      pod,
      certificates: read(certs?.[i], certificatesOf),
      health: read(clusters?.[i], endpointHealthOf),
      limits: read(limits?.[i], limitsOf),
    })),
    snapshot: firstOf(dumps) as Snapshot | null,
    ports: portModesOf(firstOf(listeners)),
  };
}

function read<T>(answer: Answer<unknown> | undefined, of: (value: unknown) => T): T | null {
  const value = answer?.value ?? null;
  return value === null ? null : of(value);
}

function firstOf(answers: readonly Answer<unknown>[] | undefined): unknown {
  return answers?.find(({ value }) => value !== null)?.value ?? null;
}
