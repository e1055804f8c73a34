// SPIFFE IDs of workloads: spiffe://<trust domain>/ns/<namespace>/sa/<service account>.

export interface SpiffeId {
  readonly trustDomain: string;
  readonly namespace: string;
  readonly serviceAccount: string;
}

const SHAPE = /^spiffe:\/\/([^/]+)\/ns\/([^/]+)\/sa\/([^/]+)$/;

/** The URI of an identity. */
export function formatSpiffeId(id: SpiffeId): string {
  return `spiffe://${id.trustDomain}/ns/${id.namespace}/sa/${id.serviceAccount}`;
}

/** Parses a workload's URI; null when it has not exactly Istio's five-part shape. */
export function parseSpiffeId(uri: string): SpiffeId | null {
  const match = SHAPE.exec(uri);
  if (match === null) return null;
  const [, trustDomain = '', namespace = '', serviceAccount = ''] = match;
  return { trustDomain, namespace, serviceAccount };
}
