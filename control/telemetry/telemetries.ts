// What each workload's telemetry comes to: the oldest Telemetry of the mesh, then that of its namespace, then that of its own labels.
import type { MeshConfig } from '#api/kinds/mesh-config.ts';
import type { Telemetry, TelemetryMode } from '#api/kinds/telemetry.ts';
import type { MeshResources } from '#api/mesh.ts';
import type { DirectionTelemetry, TelemetrySettings } from '#api/telemetry.ts';
import type { Workload } from '#api/workload.ts';
import { selectsLabels } from '#policy/attach.ts';

import { madeFrom } from '../made-of.ts';
import { logsOf } from './logs.ts';
import { metricsOf } from './metrics.ts';
import { tracingOf } from './tracing.ts';

/** Istio's mode of a direction. */
export type Side = Exclude<TelemetryMode, 'CLIENT_AND_SERVER'>;

const none: readonly Telemetry[] = [];

export class Telemetries {
  readonly #mesh: MeshConfig;
  readonly #byNamespace: ReadonlyMap<string, readonly Telemetry[]>;
  /** The same settings for all workloads that the same resources are for. */
  readonly #made = new Map<string, TelemetrySettings | null>();

  constructor({ telemetries, meshConfig }: Pick<MeshResources, 'telemetries' | 'meshConfig'>) {
    this.#mesh = meshConfig;
    // On a sidecar a resource with target references is ignored, never widened.
    const mine = telemetries.filter(
      ({ spec }) => spec.targetRef === undefined && (spec.targetRefs ?? []).length === 0,
    );
    this.#byNamespace = Map.groupBy(mine, ({ metadata }) => metadata.namespace);
  }

  /** Null: nobody says anything. */
  of(workload: Workload): TelemetrySettings | null {
    const chosen = this.#chosen(workload);
    const key = chosen.map(({ metadata }) => `${metadata.namespace}/${metadata.name}`).join();
    let made = this.#made.get(key);
    if (made === undefined) {
      made = settingsOf(chosen, this.#mesh);
      if (made !== null) madeFrom(made, chosen);
      this.#made.set(key, made);
    }
    return made;
  }

  /** The widest first. */
  #chosen({ namespace, labels }: Workload): readonly Telemetry[] {
    const { rootNamespace } = this.#mesh;
    const own = this.#byNamespace.get(namespace) ?? none;
    const root = this.#byNamespace.get(rootNamespace) ?? none;
    return [
      root.find(isGeneral),
      namespace === rootNamespace ? undefined : own.find(isGeneral),
      own.find((one) => !isGeneral(one) && selectsLabels(labelsOf(one), labels)),
    ].filter((one) => one !== undefined);
  }
}

function labelsOf({ spec }: Telemetry): Readonly<Record<string, string>> {
  return spec.selector?.matchLabels ?? {};
}

function isGeneral(one: Telemetry): boolean {
  return Object.keys(labelsOf(one)).length === 0;
}

function settingsOf(chosen: readonly Telemetry[], mesh: MeshConfig): TelemetrySettings | null {
  const inbound = directionOf('SERVER', chosen, mesh);
  const outbound = directionOf('CLIENT', chosen, mesh);
  const isSaid = Object.keys(inbound).length + Object.keys(outbound).length > 0;
  return isSaid ? { inbound, outbound } : null;
}

function directionOf(
  side: Side,
  chosen: readonly Telemetry[],
  mesh: MeshConfig,
): DirectionTelemetry {
  const specs = chosen.map(({ spec }) => spec);
  const tracing = tracingOf(
    side,
    specs.flatMap((spec) => spec.tracing ?? []),
    mesh,
  );
  const logs = logsOf(
    side,
    specs.map((spec) => spec.accessLogging ?? []),
    mesh,
  );
  const metrics = metricsOf(
    side,
    specs.flatMap((spec) => spec.metrics ?? []),
    mesh,
  );
  return {
    ...(tracing !== null && { tracing }),
    ...(logs !== null && { logs }),
    ...(metrics.length > 0 && { metrics }),
  };
}

/** Whether a match says this side, or says nothing. */
export function isFor(side: Side, match: { readonly mode: TelemetryMode } | undefined): boolean {
  return match === undefined || match.mode === 'CLIENT_AND_SERVER' || match.mode === side;
}
