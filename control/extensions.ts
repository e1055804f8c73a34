// Which resources of our own kinds apply to a workload: by selector, by Service, or by namespace.
import type { ExtensionResource } from '#api/kinds/extension.ts';
import type { ServiceResource } from '#api/kinds/service.ts';
import type { MeshResources } from '#api/mesh.ts';
import type { Workload } from '#api/workload.ts';
import { extensionApplies, servicesByName } from '#policy/attach.ts';

export class Extensions {
  readonly #byNamespace = new Map<string, ExtensionResource[]>();
  readonly #services: ReadonlyMap<string, ServiceResource>;
  readonly #rootNamespace: string;

  constructor({ extensions, services, meshConfig }: MeshResources) {
    this.#rootNamespace = meshConfig.rootNamespace;
    for (const one of extensions) {
      const { namespace } = one.metadata;
      const list = this.#byNamespace.get(namespace);
      if (list === undefined) this.#byNamespace.set(namespace, [one]);
      else list.push(one);
    }
    this.#services = extensions.length === 0 ? new Map() : servicesByName(services);
  }

  /** Those of the root namespace first, each oldest first. */
  of(workload: Workload): ExtensionResource[] {
    const { namespace } = workload;
    const root = namespace === this.#rootNamespace ? [] : this.#in(this.#rootNamespace);
    return [...root, ...this.#in(namespace)].filter((one) =>
      extensionApplies(one, workload, this.#services, this.#rootNamespace),
    );
  }

  #in(namespace: string): readonly ExtensionResource[] {
    return this.#byNamespace.get(namespace) ?? [];
  }
}
