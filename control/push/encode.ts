// Snapshots and deltas as lines of bytes; what many sidecars share is encoded once and never copied.
import type { Snapshot } from '#api/snapshot.ts';

import { diffSnapshots } from '../deltas.ts';

/** One line in parts, to be written in this order. Parts are shared between sidecars: nobody may change them. */
export type Line = readonly Buffer[];

/** JSON of a list of services, or of what changed in one. */
const servicesBytes = new WeakMap<object, Buffer>();
const deltaLines = new WeakMap<Snapshot, WeakMap<Snapshot, Line>>();
const tail = Buffer.from('}}\n');
/** Up to here one write costs less than three. */
const joinedBytesMax = 4096;
const ping: Line = [Buffer.from('{"type":"ping"}\n')];

/** One line that brings a sidecar from `base` (null: it has nothing) to `target`. */
export function encodeUpdate(base: Snapshot | null, target: Snapshot): Line {
  return base === null ? encodeSnapshot(target) : encodeDelta(base, target);
}

export function encodePing(): Line {
  return ping;
}

export function lineBytes(line: Line): number {
  return line.reduce((bytes, part) => bytes + part.length, 0);
}

/**
 * All workloads of a namespace share one list of services, by far the largest part: a thousand sidecars that connect
 * again at once wait with references to the same bytes.
 */
function encodeSnapshot(snapshot: Snapshot): Line {
  const { services, ...rest } = snapshot;
  const head = JSON.stringify(rest).slice(0, -1);
  const start = Buffer.from(`{"type":"snapshot","snapshot":${head},"services":`);
  return [start, bytesOf(services), tail];
}

function bytesOf(services: object): Buffer {
  let bytes = servicesBytes.get(services);
  if (bytes === undefined) {
    bytes = Buffer.from(JSON.stringify(services));
    servicesBytes.set(services, bytes);
  }
  return bytes;
}

/** The pods of one workload all get the same delta; those of one namespace at least the same services in it. */
function encodeDelta(base: Snapshot, target: Snapshot): Line {
  let lines = deltaLines.get(target);
  if (lines === undefined) {
    lines = new WeakMap();
    deltaLines.set(target, lines);
  }
  let line = lines.get(base);
  if (line === undefined) {
    const { services, ...rest } = diffSnapshots(base, target);
    const head = `{"type":"delta","delta":${JSON.stringify(rest).slice(0, -1)}`;
    line =
      services === undefined
        ? [Buffer.from(`${head}}}\n`)]
        : joined([Buffer.from(`${head},"services":`), bytesOf(services), tail]);
    lines.set(base, line);
  }
  return line;
}

function joined(line: Line): Line {
  return lineBytes(line) > joinedBytesMax ? line : [Buffer.concat(line)];
}
