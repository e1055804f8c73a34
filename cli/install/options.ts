// What an installation may differ in.
import type { PartName, Resources } from './parts.ts';

export interface InstallOptions {
  /** Of all parts, and of the sidecars. */
  readonly image: string;
  readonly imagePullPolicy: 'Always' | 'IfNotPresent' | 'Never';
  /** Of each part. */
  readonly replicas: number;
  readonly resources: Readonly<Record<PartName, Resources>>;
  /** Of the identities that the CA signs for. */
  readonly trustDomain: string;
  /** Where sidecars send traces; '' is no tracing. */
  readonly otlpEndpoint: string;
}

/** Istio's. */
export const defaultTrustDomain = 'cluster.local';

export function defaultOptions(version: string): InstallOptions {
  return {
    image: `selvage/selvage:${version}`,
    imagePullPolicy: 'IfNotPresent',
    replicas: 2,
    resources: {
      ca: resources('100m', '128Mi', '512Mi'),
      control: resources('200m', '256Mi', '2Gi'),
      injector: resources('50m', '96Mi', '512Mi'),
    },
    trustDomain: defaultTrustDomain,
    otlpEndpoint: '',
  };
}

function resources(cpu: string, memory: string, memoryLimit: string): Resources {
  return { requests: { cpu, memory }, limits: { memory: memoryLimit } };
}

/** As the folders of manifests/overlays. */
export const overlays: Readonly<Record<string, Partial<InstallOptions>>> = {
  dev: { replicas: 1, image: 'selvage/selvage:dev' },
  jaeger: { otlpEndpoint: 'http://jaeger.selvage-system.svc:4318' },
};
