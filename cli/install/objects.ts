// Everything that is installed, in the order in which it is applied. manifests/ is written from this.
import { customResourceDefinitions } from '#api/crd/definition.ts';
import { systemNamespace } from '#api/injection/names.ts';
import { mutatingWebhooks, validatingWebhooks } from '#injector/webhooks.ts';

import { inCluster, inSystem, type Manifest, ownLabels } from './labels.ts';
import { defaultTrustDomain, type InstallOptions } from './options.ts';
import { parts } from './parts.ts';
import { rightsObjects } from './rights.ts';
import { workloadObjects } from './workloads.ts';

export function crdObjects(): Manifest[] {
  return customResourceDefinitions().map((one) => ({ ...one }));
}

export function namespaceObject(): Manifest {
  const namespace = inCluster('v1', 'Namespace', systemNamespace, {});
  const levels = ['enforce', 'audit', 'warn'].map((mode) => [
    `pod-security.kubernetes.io/${mode}`,
    'restricted',
  ]);
  const labels = { ...namespace.metadata.labels, ...Object.fromEntries(levels) };
  return { ...namespace, metadata: { ...namespace.metadata, labels } };
}

/** All but the CRDs and the namespace. Webhooks are last: before the injector runs they would hold up its pods' neighbours. */
export function systemObjects(options: InstallOptions): Manifest[] {
  return [
    ...rightsObjects(),
    inSystem('v1', 'ConfigMap', 'selvage-injector', { data: injection(options) }),
    ...(options.trustDomain === defaultTrustDomain ? [] : [meshObject(options.trustDomain)]),
    ...parts.flatMap((part) => workloadObjects(part, options)),
    ...webhookObjects(),
  ];
}

/** The configuration of the mesh; it hides one in istio-system, so it is there only where it says something. */
function meshObject(trustDomain: string): Manifest {
  return inSystem('v1', 'ConfigMap', 'istio', { data: { mesh: `trustDomain: ${trustDomain}\n` } });
}

function injection({ image, imagePullPolicy, otlpEndpoint }: InstallOptions): object {
  return {
    SELVAGE_INJECT_IMAGE: image,
    SELVAGE_INJECT_PULL_POLICY: imagePullPolicy,
    SELVAGE_INJECT_OTLP_ENDPOINT: otlpEndpoint,
  };
}

function webhookObjects(): Manifest[] {
  const service = { name: 'selvage-injector', namespace: systemNamespace };
  return [mutatingWebhooks({ service }), validatingWebhooks({ service })].map((webhooks) => {
    const manifest = webhooks as Manifest;
    const labels = { ...manifest.metadata.labels, ...ownLabels };
    return { ...manifest, metadata: { ...manifest.metadata, labels } };
  });
}
