// The state of a cluster as the doctor's checks see it: gathered before, so that each check is a pure function.
import type { Loaded } from '#api/load.ts';

import type { Inventory } from '../cluster/inventory.ts';
import type { LivePod } from '../cluster/pods.ts';
import type { Sidecar } from '../cluster/sidecars.ts';
import type { Known } from './finding.ts';

export interface ClusterState {
  readonly nowMs: number;
  readonly server: string;
  /** `v1.34.4` */
  readonly apiVersion: string;
  /** Deployments of the system namespace. */
  readonly deployments: Known<readonly SystemDeployment[]>;
  /** Pods of the system namespace. */
  readonly systemPods: Known<readonly LivePod[]>;
  readonly webhooks: Known<readonly WebhookConfiguration[]>;
  readonly injection: Known<DryRun>;
  /** PEM of the trust bundle by namespace. */
  readonly bundles: Known<ReadonlyMap<string, string>>;
  /** Certificates that the parts of the mesh answer with. */
  readonly served: Known<readonly ServedCertificate[]>;
  readonly inventory: Known<Inventory>;
  /** When certificates of sidecars end, ms since 1970 by `namespace/pod`; of some of them where there are many. */
  readonly sidecarEnds: Known<ReadonlyMap<string, number>>;
  readonly sidecars: Known<readonly Sidecar[]>;
  readonly crds: Known<readonly Crd[]>;
  readonly resources: Known<Loaded>;
}

export interface SystemDeployment {
  readonly name: string;
  readonly image: string;
  readonly wanted: number;
  readonly ready: number;
}

export interface WebhookConfiguration {
  readonly kind: 'MutatingWebhookConfiguration' | 'ValidatingWebhookConfiguration';
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  /** PEM of each webhook's caBundle; '' where it has none. */
  readonly caBundles: readonly string[];
}

/** A pod that asks for a sidecar, created without being stored. */
export interface DryRun {
  readonly namespace: string;
  /** Containers that came back. */
  readonly containers: readonly string[];
  /** What the server said when it refused; '' when it did not. */
  readonly refusal: string;
}

export interface ServedCertificate {
  /** `selvage-ca`, `selvage-control`, `selvage-injector`. */
  readonly by: string;
  readonly endsMs: number | null;
  /** Why there is no answer; '' when there is one. */
  readonly failure: string;
}

export interface Crd {
  /** `authorizationpolicies.security.istio.io` */
  readonly name: string;
  readonly group: string;
  readonly kind: string;
  readonly versions: readonly string[];
  readonly established: boolean;
  readonly labels: Readonly<Record<string, string>>;
}
