// How long a client may say nothing before its connection is taken for bytes.
import { durationMs } from './duration.ts';
import type { Enforced } from './in-force.ts';

/** Where the mesh says nothing. Istio waits for ever then, and a server that speaks first with it. */
const detectionTimeoutMs = 5000;

/** The mesh's `protocolDetectionTimeout`; 0: for ever, as Istio means it by `0s`. */
export function detectionTimeoutOf({ snapshot }: Enforced): number {
  return durationMs(snapshot.mesh.protocolDetectionTimeout ?? '', detectionTimeoutMs);
}
