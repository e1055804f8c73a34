// Snapshots and deltas as lines; what many sidecars share is turned into text once.
import type { ControlMessage, Service, Snapshot } from '#api/snapshot.ts';

import { diffSnapshots } from '../deltas.ts';

const servicesTexts = new WeakMap<readonly Service[], string>();
const deltaTexts = new WeakMap<Snapshot, WeakMap<Snapshot, string>>();

/** One line that brings a sidecar from `base` (null: it has nothing) to `target`. */
export function encodeUpdate(base: Snapshot | null, target: Snapshot): string {
  return base === null ? encodeSnapshot(target) : encodeDelta(base, target);
}

export function encodePing(): string {
  return line({ type: 'ping' });
}

/** All workloads of a namespace share one list of services, by far the largest part. */
function encodeSnapshot(snapshot: Snapshot): string {
  let services = servicesTexts.get(snapshot.services);
  if (services === undefined) {
    services = JSON.stringify(snapshot.services);
    servicesTexts.set(snapshot.services, services);
  }
  const { services: _, ...rest } = snapshot;
  const head = JSON.stringify(rest).slice(0, -1);
  return `{"type":"snapshot","snapshot":${head},"services":${services}}}\n`;
}

/** The pods of one workload all get the same delta. */
function encodeDelta(base: Snapshot, target: Snapshot): string {
  let texts = deltaTexts.get(target);
  if (texts === undefined) {
    texts = new WeakMap();
    deltaTexts.set(target, texts);
  }
  let text = texts.get(base);
  if (text === undefined) {
    text = line({ type: 'delta', delta: diffSnapshots(base, target) });
    texts.set(base, text);
  }
  return text;
}

function line(message: ControlMessage): string {
  return `${JSON.stringify(message)}\n`;
}
