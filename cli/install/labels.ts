// The labels of everything that is installed, and the form of its objects.
import { managedBy } from '#api/crd/definition.ts';
import { systemNamespace } from '#api/injection/names.ts';

export interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly labels: Readonly<Record<string, string>>;
  };
  readonly [field: string]: unknown;
}

export const ownLabels = { 'app.kubernetes.io/part-of': 'selvage', ...managedBy } as const;

/** @param name of a part, by which Services find its pods */
export function selectorOf(name: string): Record<string, string> {
  return { 'app.kubernetes.io/name': name };
}

/** An object in the namespace of the mesh. */
export function inSystem(apiVersion: string, kind: string, name: string, rest: object): Manifest {
  const labels = { ...ownLabels, ...selectorOf(name) };
  return { apiVersion, kind, metadata: { name, namespace: systemNamespace, labels }, ...rest };
}

/** An object of no namespace. */
export function inCluster(apiVersion: string, kind: string, name: string, rest: object): Manifest {
  return { apiVersion, kind, metadata: { name, labels: ownLabels }, ...rest };
}
