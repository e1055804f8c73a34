// The files of manifests/ that are written from code, by their path.
import { writeYaml } from '#api/yaml-write.ts';

import { chartFiles } from './chart.ts';
import { crdObjects, namespaceObject, systemObjects } from './objects.ts';
import { defaultOptions } from './options.ts';

const notice = '# Written by `npm run manifests`: edit the code it names, not this file.\n';

/** @param version of package.json, which is the image's tag */
export function generatedManifests(version: string): ReadonlyMap<string, string> {
  const crds = crdObjects().map(
    (crd) => [`crds/${crd.metadata.name}.yaml`, `${notice}# api/crd\n${writeYaml([crd])}`] as const,
  );
  const base = [namespaceObject(), ...systemObjects(defaultOptions(version))];
  return new Map([
    ...crds,
    ['crds/kustomization.yaml', kustomization(crds.map(([file]) => file.replace('crds/', '')))],
    ['base/kustomization.yaml', kustomization(['../crds', 'selvage.yaml'])],
    ['base/selvage.yaml', `${notice}# cli/install\n${writeYaml(base)}`],
    ...chartFiles(version),
  ]);
}

function kustomization(resources: readonly string[]): string {
  const head = { apiVersion: 'kustomize.config.k8s.io/v1beta1', kind: 'Kustomization' };
  return notice + writeYaml([{ ...head, resources }]);
}
