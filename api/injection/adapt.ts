// The application's own containers as they must be beside a sidecar: probes that ask it, and its proxy where that is told.
import type { Capture } from './config.ts';
import { probesEntry, probesVariable } from './containers.ts';
import { withProxyVariables } from './explicit.ts';
import type { ContainerManifest, PodManifest } from './manifest.ts';
import { initName, proxyName } from './names.ts';
import { type AppProbe, rewriteProbes } from './probes.ts';

export interface AdaptOptions {
  readonly capture: Capture;
  readonly rewriteProbes: boolean;
}

export interface Adapted {
  readonly initContainers: ContainerManifest[];
  readonly containers: ContainerManifest[];
  readonly probes: Readonly<Record<string, AppProbe>>;
  readonly warnings: readonly string[];
}

/** The application's containers as they must be beside a sidecar; the sidecar's own are left as they are. */
export function adapt({ spec }: PodManifest, options: AdaptOptions): Adapted {
  const probes: Record<string, AppProbe> = {};
  const warnings: string[] = [];
  const adapted = (containers: readonly ContainerManifest[]): ContainerManifest[] =>
    containers.map((container) => {
      if (container.name === initName || container.name === proxyName) return container;
      const told = options.capture === 'explicit' ? withProxyVariables(container) : container;
      if (!options.rewriteProbes) return told;
      const rewritten = rewriteProbes([told]);
      Object.assign(probes, rewritten.probes);
      warnings.push(...rewritten.warnings);
      return rewritten.containers[0] ?? told;
    });
  const initContainers = adapted(spec.initContainers ?? []);
  return { initContainers, containers: adapted(spec.containers), probes, warnings };
}

/** Adds to what the sidecar is told to ask; without anything to add it is the same list. */
export function withProbes(
  containers: ContainerManifest[],
  probes: Readonly<Record<string, AppProbe>>,
): ContainerManifest[] {
  if (Object.keys(probes).length === 0) return containers;
  return containers.map((container) => {
    if (container.name !== proxyName) return container;
    const env = container.env ?? [];
    const present = env.find(({ name }) => name === probesVariable)?.value ?? '{}';
    const rest = env.filter(({ name }) => name !== probesVariable);
    return { ...container, env: [...rest, probesEntry({ ...readProbes(present), ...probes })] };
  });
}

function readProbes(text: string): Readonly<Record<string, AppProbe>> {
  try {
    const value: unknown = JSON.parse(text.replaceAll('$$(', '$('));
    return typeof value === 'object' && value !== null ? (value as Record<string, AppProbe>) : {};
  } catch {
    return {};
  }
}
