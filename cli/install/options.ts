// What an installation may differ in.
export interface InstallOptions {
  /** Of all parts, and of the sidecars. */
  readonly image: string;
  readonly imagePullPolicy: 'Always' | 'IfNotPresent' | 'Never';
  readonly replicas: number;
  /** Where sidecars send traces; '' is no tracing. */
  readonly otlpEndpoint: string;
}

export function defaultOptions(version: string): InstallOptions {
  return {
    image: `selvage/selvage:${version}`,
    imagePullPolicy: 'IfNotPresent',
    replicas: 2,
    otlpEndpoint: '',
  };
}

/** As the folders of manifests/overlays. */
export const overlays: Readonly<Record<string, Partial<InstallOptions>>> = {
  dev: { replicas: 1, image: 'selvage/selvage:dev' },
  jaeger: { otlpEndpoint: 'http://jaeger.selvage-system.svc:4318' },
};
