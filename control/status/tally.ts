// How many sidecars of the whole mesh enforce a resource, from the reports of all replicas.
import type { Generations, ReplicaReport, SidecarPolicies } from './report.ts';

/** A sidecar that runs and is connected to no replica: it enforces something, but nobody knows what. */
export interface LostSidecar {
  readonly namespace: string;
  readonly pod: string;
  /** The policies that it should have. */
  readonly wanted: Generations;
}

export interface MeshReport {
  readonly reports: readonly ReplicaReport[];
  readonly lost: readonly LostSidecar[];
  /** Addresses of replicas that did not answer. */
  readonly unreachable: readonly string[];
}

export interface Enforcement {
  /** The oldest that a replica goes by; null: one of them has not seen the resource. */
  readonly generation: number | null;
  /** Sidecars that enforce the newest generation that any replica has seen. */
  readonly enforced: number;
  /** Sidecars that the resource concerns. */
  readonly of: number;
  /** `namespace/pod` of those that do not enforce it yet. */
  readonly missing: readonly string[];
  /** Of those, who refuses it, and why: `shop/web-0: …`. */
  readonly refusals: readonly string[];
}

interface Concerned {
  readonly name: string;
  /** The generation that it enforces, where that is known. */
  readonly acked?: number;
  readonly refused?: string;
}

/** Every sidecar once: one that changed its replica may be told by two for a moment, and the younger connection counts. */
export function sidecarsOf(
  reports: readonly ReplicaReport[],
): (SidecarPolicies & { readonly replica: string })[] {
  const found = new Map<string, SidecarPolicies & { readonly replica: string }>();
  for (const { replica, sidecars } of reports) {
    for (const sidecar of sidecars) {
      const key = `${sidecar.namespace}/${sidecar.pod}`;
      const other = found.get(key);
      if (other === undefined || sidecar.connectedSince >= other.connectedSince) {
        found.set(key, { ...sidecar, replica });
      }
    }
  }
  return [...found.values()];
}

/** The generation that each replica goes by, as one: see `Enforcement.generation`. */
function knownBy(reports: readonly ReplicaReport[], key: string): (number | undefined)[] {
  return reports.map(({ known }) => known.get(key));
}

/** Of one resource, with the sidecars that are missing. @param key `Kind/namespace/name` */
export function enforcementOf(mesh: MeshReport, key: string): Enforcement {
  return new Tally(mesh).of(key);
}

/** Of many resources at one moment: sidecars are gone through once. */
export class Tally {
  readonly #mesh: MeshReport;
  /** By resource: whom it concerns, and what each has. */
  readonly #concerned = new Map<string, Concerned[]>();

  constructor(mesh: MeshReport) {
    this.#mesh = mesh;
    for (const { namespace, pod, wanted, acked, refused } of sidecarsOf(mesh.reports)) {
      const name = `${namespace}/${pod}`;
      for (const key of wanted.keys()) this.#concern(key, { name, acked: acked.get(key), refused });
    }
    for (const { namespace, pod, wanted } of mesh.lost) {
      for (const key of wanted.keys()) this.#concern(key, { name: `${namespace}/${pod}` });
    }
  }

  of(key: string): Enforcement {
    const known = knownBy(this.#mesh.reports, key);
    const seen = known.filter((generation) => generation !== undefined);
    const newest = seen.length === 0 ? undefined : Math.max(...seen);
    const concerned = this.#concerned.get(key) ?? [];
    const missing = concerned.filter(({ acked }) => acked === undefined || acked !== newest);
    return {
      generation: seen.length === 0 || seen.length < known.length ? null : Math.min(...seen),
      enforced: concerned.length - missing.length,
      of: concerned.length,
      missing: missing.map(({ name }) => name).toSorted(),
      refusals: missing
        .flatMap(({ name, refused = '' }) => (refused === '' ? [] : [`${name}: ${refused}`]))
        .toSorted(),
    };
  }

  #concern(key: string, sidecar: Concerned): void {
    const list = this.#concerned.get(key);
    if (list === undefined) this.#concerned.set(key, [sidecar]);
    else list.push(sidecar);
  }
}
