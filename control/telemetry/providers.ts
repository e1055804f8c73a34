// Providers of telemetry by name: those of the mesh, and those that Istio has built in.
import type { ExtensionProvider, MeshConfig } from '#api/kinds/mesh-config.ts';

/** Istio's own, where the mesh names none of that name. */
export const envoyLog = 'envoy';
export const prometheus = 'prometheus';

const builtIn: readonly ExtensionProvider[] = [
  { name: envoyLog, envoyFileAccessLog: { path: '' } },
  { name: prometheus, prometheus: {} },
];

/** As in Istio, whatever the case of its letters. Null: there is none. */
export function providerOf(
  name: string,
  { extensionProviders }: MeshConfig,
): ExtensionProvider | null {
  const wanted = name.toLowerCase();
  return (
    [...extensionProviders, ...builtIn].find((one) => one.name.toLowerCase() === wanted) ?? null
  );
}
