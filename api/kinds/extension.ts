// The kinds of our own that sidecars compile themselves, and how they choose their workloads. Loads nothing.
import type { Resource } from '../resource.ts';

export const extensionKinds = [
  'RateLimit',
  'ApiKeyAuthentication',
  'TokenExchange',
  'Transformation',
  'ResponseCache',
  'Filter',
] as const;

export type ExtensionKind = (typeof extensionKinds)[number];

/** What all of them have. Neither: every workload of the namespace, in the root namespace of the mesh. */
export interface ExtensionSpec {
  readonly selector?: { readonly matchLabels: Readonly<Record<string, string>> };
  /** Services of the same namespace: the workloads behind them. */
  readonly targetRefs?: readonly { readonly kind: string; readonly name: string }[];
}

export type ExtensionResource = Resource<ExtensionKind, ExtensionSpec>;

export function isExtension(resource: {
  readonly apiVersion: string;
  readonly kind: string;
}): resource is ExtensionResource {
  return (
    resource.apiVersion.startsWith('selvage.dev/') &&
    (extensionKinds as readonly string[]).includes(resource.kind)
  );
}
