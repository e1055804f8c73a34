// Puts hashes of the keys of Secrets into the ApiKeyAuthentications that name them, so that no key travels.
import { apiKeysLabel, type ApiKeyAuthentication } from '#api/kinds/api-key-authentication.ts';
import type { ExtensionResource } from '#api/kinds/extension.ts';
import type { SecretResource } from '#api/kinds/secret.ts';
import { joinIndex, problemAt } from '#api/origin.ts';
import type { Problem } from '#api/problem.ts';
import { isConsumerName } from '#api/validate/api-key-authentication.ts';

interface Resolved {
  readonly secrets: readonly (SecretResource | undefined)[];
  readonly resource: ExtensionResource;
}

/** Names of the Secrets that resources name, as `namespace/name`. */
export function wantedSecrets(
  extensions: readonly {
    readonly kind: string;
    readonly metadata: { readonly namespace: string };
  }[],
): Set<string> {
  return new Set(
    extensions.flatMap((one) =>
      isApiKeys(one)
        ? (one.spec.secrets ?? []).map(({ name }) => `${one.metadata.namespace}/${name}`)
        : [],
    ),
  );
}

export class ApiKeyResolver {
  readonly #done = new WeakMap<ApiKeyAuthentication, Resolved>();

  /** Unchanged input gives the same objects. A Secret that is not there has no keys: its callers are refused. */
  resolve(
    extensions: readonly ExtensionResource[],
    secrets: readonly SecretResource[],
  ): { extensions: ExtensionResource[]; problems: Problem[] } {
    const byName = new Map(
      secrets.map((secret) => [`${secret.metadata.namespace}/${secret.metadata.name}`, secret]),
    );
    const problems: Problem[] = [];
    const resolved = extensions.map((one): ExtensionResource => {
      if (!isApiKeys(one) || one.spec.secrets === undefined) return one;
      const found = one.spec.secrets.map(({ name }) =>
        byName.get(`${one.metadata.namespace}/${name}`),
      );
      problems.push(...problemsOf(one, found));
      const before = this.#done.get(one);
      if (before !== undefined && before.secrets.every((secret, i) => secret === found[i])) {
        return before.resource;
      }
      const resource = withKeys(one, found);
      this.#done.set(one, { secrets: found, resource });
      return resource;
    });
    return { extensions: resolved, problems };
  }
}

function isApiKeys(resource: { readonly kind: string }): resource is ApiKeyAuthentication {
  return resource.kind === 'ApiKeyAuthentication';
}

/** Callers of both places by the same name have the keys of both. */
function withKeys(
  one: ApiKeyAuthentication,
  found: readonly (SecretResource | undefined)[],
): ExtensionResource {
  const { secrets: _, ...spec } = one.spec;
  const hashes = new Map<string, string[]>();
  const add = (name: string, more: readonly string[]): void =>
    void hashes.set(name, [...(hashes.get(name) ?? []), ...more]);
  for (const consumer of spec.consumers) add(consumer.name, consumer.hashes);
  for (const secret of found) {
    for (const [name, hash] of Object.entries(secret?.spec.hashes ?? {})) {
      if (isConsumerName(name)) add(name, [hash]);
    }
  }
  const consumers = [...hashes].map(([name, all]) => ({ name, hashes: all }));
  const resolved: ApiKeyAuthentication = { ...one, spec: { ...spec, consumers } };
  return resolved;
}

function problemsOf(
  one: ApiKeyAuthentication,
  found: readonly (SecretResource | undefined)[],
): Problem[] {
  const { namespace } = one.metadata;
  return (one.spec.secrets ?? []).flatMap(({ name }, i) => {
    if (found[i] !== undefined) return [];
    const message = `there is no Secret ${namespace}/${name} with the label ${apiKeysLabel}: "true", or control may not read it: the keys in it are refused`;
    const mend = `label the Secret, and in ${namespace} give selvage-control get, list and watch of the Secret "${name}" by a Role with resourceNames`;
    const finding = { severity: 'warning', code: 'secret-unavailable' } as const;
    const path = joinIndex('spec.secrets', i);
    return [problemAt(one, { ...finding, path, message, mend })];
  });
}
