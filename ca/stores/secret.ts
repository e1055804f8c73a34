// The issuers in a Secret that all replicas share: every change is a compare-and-swap by its resourceVersion.
import { KubeError, type KubeClient, type KubeObject } from '#runtime/kubernetes/client.ts';
import type { Records } from '../rotation.ts';
import { formatState, parseState } from './state.ts';
import { DamagedState, StoreConflict, type RootStore, type Stored } from './store.ts';

export interface SecretStoreOptions {
  readonly client: KubeClient;
  readonly namespace: string;
  readonly name: string;
}

const key = 'issuers.json';

export class SecretStore implements RootStore {
  readonly place: string;
  /** Replicas look every few seconds, and say that they are not ready when they cannot for this long. */
  readonly followMs = 60_000;
  readonly #options: SecretStoreOptions;
  readonly #collection: string;

  constructor(options: SecretStoreOptions) {
    this.#options = options;
    this.place = `Secret ${options.namespace}/${options.name}`;
    this.#collection = `/api/v1/namespaces/${options.namespace}/secrets`;
  }

  async read(): Promise<Stored | null> {
    const { client, name } = this.#options;
    try {
      return this.#stored(await client.get<KubeObject>(`${this.#collection}/${name}`));
    } catch (error) {
      if (error instanceof KubeError && error.status === 404) return null;
      throw error;
    }
  }

  async create(records: Records): Promise<Stored> {
    const { client } = this.#options;
    return this.#orConflict(() => client.create<KubeObject>(this.#collection, this.#body(records)));
  }

  async replace(records: Records, version: string): Promise<Stored> {
    const { client, name } = this.#options;
    const body = this.#body(records, version);
    return this.#orConflict(() => client.replace<KubeObject>(`${this.#collection}/${name}`, body));
  }

  /** The trust bundle has ConfigMaps of its own. */
  async tell(): Promise<void> {}

  async #orConflict(write: () => Promise<KubeObject>): Promise<Stored> {
    try {
      return this.#stored(await write());
    } catch (error) {
      // 404: it was deleted since, which reading it again will tell.
      if (error instanceof KubeError && (error.status === 409 || error.status === 404)) {
        throw new StoreConflict(`${this.place} was changed by another`, { cause: error });
      }
      throw error;
    }
  }

  #body(records: Records, resourceVersion?: string): object {
    const { namespace, name } = this.#options;
    return {
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: {
        name,
        namespace,
        resourceVersion,
        labels: { 'app.kubernetes.io/name': 'selvage', 'app.kubernetes.io/component': 'ca' },
        annotations: { 'selvage.dev/about': 'roots of the mesh; without it workloads lose trust' },
      },
      type: 'Opaque',
      data: { [key]: Buffer.from(formatState(records)).toString('base64') },
    };
  }

  #stored(secret: KubeObject): Stored {
    const data = (secret['data'] ?? {}) as Readonly<Record<string, unknown>>;
    const encoded = data[key];
    const version = secret.metadata.resourceVersion ?? '';
    if (typeof encoded !== 'string') {
      throw new DamagedState(`${this.place} has no ${key}: restore it, or delete the Secret`);
    }
    const text = Buffer.from(encoded, 'base64').toString('utf8');
    return { records: parseState(text, `${this.place}, ${key},`), version };
  }
}
