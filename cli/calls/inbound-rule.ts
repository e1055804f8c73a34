// What the callee's sidecar makes of a call that it lets pass: where its application is, and how much it may be given at once.
import type { MeshWorkload } from '#api/mesh.ts';
import { nameOf } from '#api/origin.ts';
import type { ConnectionPool } from '#api/traffic/destination.ts';
import type { ApplicationPlace } from '#api/traffic/inbound.ts';
import { snapshotOf } from '#control/snapshot.ts';

import type { MeshModel } from './model.ts';
import { policyWords } from './policy-words.ts';
import { type Source, sourceAt, sourceText } from './source.ts';

export interface InboundRule {
  /** Null: where the call was going. */
  readonly application: ApplicationPlace | null;
  /** Null: no limits. */
  readonly pool: ConnectionPool | null;
  readonly from: readonly Source[];
}

/** Null: nobody says anything of the port, or there is no sidecar. */
export function inboundRuleOf(
  model: MeshModel,
  workload: MeshWorkload,
  port: number,
): InboundRule | null {
  if (!workload.injected) return null;
  const { inbound = [] } = snapshotOf(model.callable(), workload);
  const found = inbound.find((one) => one.port === port) ?? inbound.find((one) => one.port === 0);
  if (found === undefined) return null;
  const { sidecars, destinationRules } = model.resources;
  const written = [...sidecars, ...destinationRules];
  const from = written.filter((one) => found.sources.includes(nameOf(one)));
  return {
    application: found.application ?? null,
    pool: found.pool ?? null,
    from: from.map((one) => sourceAt(one, 'spec')),
  };
}

/** `the callee's sidecar: to 127.0.0.1:8080; at most 20 requests (Sidecar atlas/ledger (f.yaml:9))`. */
export function inboundLines(rule: InboundRule | null): string[] {
  if (rule === null) return [];
  const { application, pool, from } = rule;
  const words = [
    ...(application === null ? [] : [`calls the application at ${placeText(application)}`]),
    ...(pool === null ? [] : policyWords({ pool }).map((one) => `${one} of all callers together`)),
  ];
  return [
    `the callee's sidecar: ${words.join('; ')}`,
    ...from.map((one) => `  ${sourceText(one)}`),
  ];
}

function placeText(place: ApplicationPlace): string {
  if ('path' in place) return place.path;
  return `${place.host === '' ? "the pod's address" : place.host}:${place.port}`;
}
