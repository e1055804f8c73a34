// Sidecars that can be asked, wherever they run: in the mesh of this machine (`selvage up`), or in a cluster.

export interface AskableSidecar {
  readonly namespace: string;
  readonly workload: string;
  readonly pod: string;
  /** GET of its admin endpoint, read as JSON. @throws Error that says what it answered in place of 200 */
  ask(path: string): Promise<unknown>;
  /** As `ask`, by POST. @param body sent as JSON */
  post(path: string, body: unknown): Promise<unknown>;
  /**
   * GET of newline-delimited JSON, line by line, until it ends or `signal` is aborted. @throws as ask
   * @param onOpen is called once, when it answers
   */
  follow(
    path: string,
    onLine: (value: unknown) => void,
    signal: AbortSignal,
    onOpen?: () => void,
  ): Promise<void>;
}

/** Of one mesh. */
export interface Sidecars {
  /** `the mesh of manifests/examples/shop`, `the cluster at https://…`. */
  readonly title: string;
  /** @param namespace only of that one; left out: all */
  list(namespace?: string): Promise<readonly AskableSidecar[]>;
  /** GET of control's admin endpoint, read as JSON; left out where it cannot be asked. @throws as `ask` of a sidecar */
  control?(path: string): Promise<unknown>;
  close(): Promise<void>;
}
