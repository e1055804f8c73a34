// The Helm chart: the objects of the base, with the values that an installation may differ in.
import { writeYaml } from '#api/yaml-write.ts';

import type { Manifest } from './labels.ts';
import { crdObjects, namespaceObject, systemObjects } from './objects.ts';
import { defaultOptions, defaultTrustDomain, type InstallOptions } from './options.ts';
import type { PartName, Resources } from './parts.ts';

/** Stands where a number is wanted, and is like no other number. */
const replicasMark = 987_654_321;
const resourcesMark = 'resources-of-';

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

const docs: Readonly<Record<keyof InstallOptions, string>> = {
  image: 'Of all parts, and of the sidecars.',
  imagePullPolicy: 'Always, IfNotPresent or Never.',
  replicas: 'Of each part. With one, a node that goes takes signing, pushing or injection along.',
  resources:
    'Of the container of each part, as Kubernetes has them. Sidecars: annotations on pods.',
  trustDomain: 'Of the identities that the CA signs for; a change needs all pods to start anew.',
  otlpEndpoint: 'Where sidecars send traces, OTLP over HTTP: http://jaeger:4318. Empty: nowhere.',
};

function valuesText(options: InstallOptions): string {
  return Object.entries(options)
    .map(
      ([name, value]) =>
        `# ${docs[name as keyof InstallOptions]}\n${writeYaml([{ [name]: value }])}`,
    )
    .join('\n');
}

function templateText(): string {
  const objects = systemObjects({
    image: values('image'),
    imagePullPolicy: values('imagePullPolicy') as InstallOptions['imagePullPolicy'],
    replicas: replicasMark,
    resources: { ca: mark('ca'), control: mark('control'), injector: mark('injector') },
    trustDomain: values('trustDomain'),
    otlpEndpoint: values('otlpEndpoint'),
  });
  const documents = [namespaceObject(), ...objects].map(documentText);
  return documents
    .join('---\n')
    .replaceAll(String(replicasMark), values('replicas'))
    .replaceAll(
      new RegExp(`^( *)resources: ${resourcesMark}(\\w+)$`, 'gm'),
      (_, indent: string, part: string) =>
        `${indent}resources:\n{{ toYaml .Values.resources.${part} | indent ${indent.length + 2} }}`,
    );
}

function values(name: string): string {
  return `{{ .Values.${name} }}`;
}

function mark(part: PartName): Resources {
  return `${resourcesMark}${part}` as unknown as Resources;
}

/** The mesh's configuration is there only where it says something. */
function documentText(object: Manifest): string {
  const text = writeYaml([object]);
  if (object.kind !== 'ConfigMap' || object.metadata.name !== 'istio') return text;
  return `{{- if ne .Values.trustDomain "${defaultTrustDomain}" }}\n${text}{{- end }}\n`;
}
