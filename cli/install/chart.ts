// The Helm chart: the objects of the base, with the few values that an installation may differ in.
import { writeYaml } from '#api/yaml-write.ts';

import { crdObjects, namespaceObject, systemObjects } from './objects.ts';
import { defaultOptions, type InstallOptions } from './options.ts';

/** Stands where a number is wanted, and is like no other number. */
const replicasMark = 987_654_321;

export function chartFiles(version: string): [file: string, text: string][] {
  const crds = crdObjects().map((crd): [string, string] => [
    `helm/selvage/crds/${crd.metadata.name}.yaml`,
    writeYaml([crd]),
  ]);
  return [
    ['helm/selvage/Chart.yaml', writeYaml([chart(version)])],
    ['helm/selvage/values.yaml', valuesText(defaultOptions(version))],
    ['helm/selvage/templates/selvage.yaml', templateText()],
    ...crds,
  ];
}

function chart(version: string): object {
  const description = 'A service mesh for Kubernetes.';
  return { apiVersion: 'v2', name: 'selvage', description, version, appVersion: version };
}

function valuesText(options: InstallOptions): string {
  return writeYaml([options]);
}

function templateText(): string {
  const marked = systemObjects({
    image: '{{ .Values.image }}',
    imagePullPolicy: '{{ .Values.imagePullPolicy }}' as InstallOptions['imagePullPolicy'],
    replicas: replicasMark,
    otlpEndpoint: '{{ .Values.otlpEndpoint }}',
  });
  return writeYaml([namespaceObject(), ...marked]).replaceAll(
    String(replicasMark),
    '{{ .Values.replicas }}',
  );
}
