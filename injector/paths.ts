// The paths that the API server calls; what a webhook is registered for is told by its path.

export const paths = {
  /** Pods and workloads that ask for a sidecar themselves. */
  inject: '/inject',
  /** Pods of namespaces that ask for all of theirs. */
  injectOptedIn: '/inject/opted-in',
  validate: '/validate',
} as const;
