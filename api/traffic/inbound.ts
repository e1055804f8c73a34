// What a workload's own sidecar does with calls to its ports: what Sidecar's ingress and limits of connections compile to.
import type { ConnectionPool } from './destination.ts';

/** `host` '': the address of the pod itself. */
export type ApplicationPlace =
  | { readonly host: string; readonly port: number }
  /** A socket of a file; one that begins with @ is in Linux' abstract names. */
  | { readonly path: string };

export interface InboundPort {
  /** Of the workload. 0: every port that no other entry is for. */
  readonly port: number;
  /** What says so: `Sidecar shop/default`. */
  readonly sources: readonly string[];
  /** Where the application is; left out: where the call was going. */
  readonly application?: ApplicationPlace;
  /** Limits over all callers together. */
  readonly pool?: ConnectionPool;
}
