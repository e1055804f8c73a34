// Who a workload is in Istio's metrics, and the header by which one sidecar tells it to the next.
//
// Istio's sidecars exchange this as base64 protobuf in `x-envoy-peer-metadata`. Between our own
// sidecars a plain line of six fields says the same at a fraction of the bytes. The receiver
// believes it only from a peer with a certificate of the mesh, takes the namespace from that
// certificate, and admits only names that Kubernetes could have given.
import { parseSpiffeId } from '#api/spiffe.ts';

export interface WorkloadLabels {
  readonly workload: string;
  readonly namespace: string;
  /** `spiffe://…`, or `unknown`. */
  readonly principal: string;
  readonly app: string;
  readonly version: string;
  readonly canonicalService: string;
  readonly canonicalRevision: string;
  readonly cluster: string;
}

export const peerHeader = 'x-selvage-peer';
/** Istio's own; cut from what reaches an application, as Istio does. */
export const istioPeerHeaders = ['x-envoy-peer-metadata', 'x-envoy-peer-metadata-id'] as const;

export const unknown = 'unknown';

export const unknownWorkload: WorkloadLabels = Object.freeze({
  workload: unknown,
  namespace: unknown,
  principal: unknown,
  app: unknown,
  version: unknown,
  canonicalService: unknown,
  // Istio's word for a revision that nobody says.
  canonicalRevision: 'latest',
  cluster: unknown,
});

/** A workload whose name and labels are known from a snapshot. */
export function labelsOfWorkload(
  workload: { name: string; namespace: string; labels: Readonly<Record<string, string>> },
  principal: string,
  cluster: string,
): WorkloadLabels {
  const labels = workload.labels;
  return Object.freeze({
    workload: workload.name || unknown,
    namespace: workload.namespace || unknown,
    principal: principal || unknown,
    app: labels['app'] || labels['app.kubernetes.io/name'] || unknown,
    version: labels['version'] || labels['app.kubernetes.io/version'] || unknown,
    canonicalService:
      labels['service.istio.io/canonical-name'] ||
      labels['app.kubernetes.io/name'] ||
      labels['app'] ||
      workload.name ||
      unknown,
    canonicalRevision:
      labels['service.istio.io/canonical-revision'] ||
      labels['app.kubernetes.io/version'] ||
      labels['version'] ||
      'latest',
    cluster: cluster || unknown,
  });
}

/** A peer known only by its certificate: namespace and principal. */
export function labelsOfIdentity(identity: string): WorkloadLabels {
  const id = parseSpiffeId(identity);
  return Object.freeze({
    ...unknownWorkload,
    namespace: id !== null && isName(id.namespace) ? id.namespace : unknown,
    principal: id !== null && identity.length <= identityCharsMax ? identity : unknown,
  });
}

/** The value of `x-selvage-peer`; `-` stands for unknown. */
export function formatPeer(labels: WorkloadLabels): string {
  return [
    labels.workload,
    labels.app,
    labels.version,
    labels.canonicalService,
    labels.canonicalRevision,
    labels.cluster,
  ]
    .map((value) => (isName(value) && value !== unknown ? value : '-'))
    .join(';');
}

/**
 * Reads `x-selvage-peer`. Null when it is not exactly six names.
 * @param identity of the peer's certificate; the only source of namespace and principal
 */
export function parsePeer(value: string, identity: string): WorkloadLabels | null {
  if (value.length > 6 * (nameCharsMax + 1)) return null;
  const fields = value.split(';');
  if (fields.length !== 6) return null;
  for (const field of fields) if (!isName(field)) return null;
  const [workload, app, version, canonicalService, canonicalRevision, cluster] = fields.map(
    (field) => (field === '-' ? unknown : field),
  ) as [string, string, string, string, string, string];
  return Object.freeze({
    ...labelsOfIdentity(identity),
    workload,
    app,
    version,
    canonicalService,
    canonicalRevision,
    cluster,
  });
}

/** Kubernetes names and label values: at most 63 characters of [A-Za-z0-9._-]. */
const nameCharsMax = 63;
const identityCharsMax = 512;

function isName(value: string): boolean {
  return value.length <= nameCharsMax && /^[A-Za-z0-9._-]+$/.test(value);
}
