// Namespace (v1): its name and labels.
import type { Resource } from '../resource.ts';

/** `metadata.namespace` is '': a namespace is in none. */
export type Namespace = Resource<'Namespace', Readonly<Record<string, never>>>;
