// What several pools share: connections to all members of a cluster, and calls that wait for one.

export interface Budget {
  /** Open or on their way to be. */
  connections: number;
  readonly connectionsMax: number;
  /** Calls that wait for a connection. */
  pending: number;
  readonly pendingMax: number;
  /** For metrics: one more would have been over the limit. */
  noteConnectionRefused(): void;
  notePendingRefused(): void;
}
