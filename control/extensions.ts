// Which resources of our own kinds apply to a workload: by selector, by Service, or by namespace.
import type { ExtensionResource } from '#api/kinds/extension.ts';
import type { ServiceResource } from '#api/kinds/service.ts';
import type { MeshResources } from '#api/mesh.ts';
import type { Workload } from '#api/workload.ts';
import { selectsLabels } from '#policy/attach.ts';

export class Extensions {
  readonly #byNamespace = new Map<string, ExtensionResource[]>();
  readonly #services = new Map<string, ServiceResource>();
  readonly #rootNamespace: string;

  constructor({ extensions, services, meshConfig }: MeshResources) {
    this.#rootNamespace = meshConfig.rootNamespace;
    for (const one of extensions) {
      const { namespace } = one.metadata;
      const list = this.#byNamespace.get(namespace);
      if (list === undefined) this.#byNamespace.set(namespace, [one]);
      else list.push(one);
    }
    if (extensions.length === 0) return;
    for (const service of services) {
      this.#services.set(`${service.metadata.namespace}/${service.metadata.name}`, service);
    }
  }

  /** Those of the root namespace first, each oldest first. */
  of(workload: Workload): ExtensionResource[] {
    const { namespace } = workload;
    const root = namespace === this.#rootNamespace ? [] : this.#in(this.#rootNamespace);
    return [...root, ...this.#in(namespace)].filter((one) => this.#applies(one, workload));
  }

  #in(namespace: string): readonly ExtensionResource[] {
    return this.#byNamespace.get(namespace) ?? [];
  }

  #applies({ metadata, spec }: ExtensionResource, workload: Workload): boolean {
    const { selector, targetRefs = [] } = spec;
    if (targetRefs.length === 0) {
      return selectsLabels(selector?.matchLabels ?? {}, workload.labels);
    }
    return targetRefs.some(({ kind, name }) => {
      const { selector: wanted = {} } =
        this.#services.get(`${metadata.namespace}/${name}`)?.spec ?? {};
      const chosen = kind === 'Service' && Object.keys(wanted).length > 0;
      return (
        chosen &&
        workload.namespace === metadata.namespace &&
        selectsLabels(wanted, workload.labels)
      );
    });
  }
}
