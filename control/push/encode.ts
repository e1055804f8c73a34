// Snapshots and deltas as lines of bytes; what many sidecars share is encoded once and never copied.
import type { Snapshot, SnapshotDelta } from '#api/snapshot.ts';

import { diffSnapshots } from '../deltas.ts';

/** One line in parts, to be written in this order. Parts are shared between sidecars: nobody may change them. */
export type Line = readonly Buffer[];

/** Fields that workloads share, of a snapshot and of a delta: by far the largest part of both. */
const sharedFields = ['services', 'routes', 'destinations'] as const;
/** JSON of such a list, or of what changed in one. */
const sharedBytes = new WeakMap<object, Buffer>();
const deltaLines = new WeakMap<Snapshot, WeakMap<Snapshot, Line>>();
/** Of deltas that say nothing but what changed in a list of services, by their numbers. */
const endpointLines = new WeakMap<object, Map<string, Line>>();
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
  return encode('{"type":"snapshot","snapshot":', snapshot);
}

/** The pods of one workload all get the same delta. */
function encodeDelta(base: Snapshot, target: Snapshot): Line {
  let lines = deltaLines.get(target);
  if (lines === undefined) {
    lines = new WeakMap();
    deltaLines.set(target, lines);
  }
  let line = lines.get(base);
  if (line === undefined) {
    line = encodeDifference(diffSnapshots(base, target));
    lines.set(base, line);
  }
  return line;
}

/** When endpoints come or go, all sidecars of a namespace get one and the same line. */
function encodeDifference(delta: SnapshotDelta): Line {
  const { from, to, services, ...others } = delta;
  if (services === undefined || Object.keys(others).length > 0) return encodeOne(delta);
  let lines = endpointLines.get(services);
  if (lines === undefined) {
    lines = new Map();
    endpointLines.set(services, lines);
  }
  const numbers = `${from} ${to}`;
  let line = lines.get(numbers);
  if (line === undefined) {
    line = encodeOne(delta);
    lines.set(numbers, line);
  }
  return line;
}

function encodeOne(delta: SnapshotDelta): Line {
  return joined(encode('{"type":"delta","delta":', delta));
}

/** @param start up to the value, which has at least one field that is not shared */
function encode(start: string, value: Snapshot | SnapshotDelta): Line {
  const own: Record<string, unknown> = { ...value };
  const parts: Buffer[] = [];
  for (const field of sharedFields) {
    const shared = value[field];
    delete own[field];
    if (shared !== undefined) parts.push(Buffer.from(`,"${field}":`), bytesOf(shared));
  }
  const head = `${start}${JSON.stringify(own).slice(0, -1)}`;
  return [Buffer.from(head), ...parts, tail];
}

function bytesOf(shared: object): Buffer {
  let bytes = sharedBytes.get(shared);
  if (bytes === undefined) {
    bytes = Buffer.from(JSON.stringify(shared));
    sharedBytes.set(shared, bytes);
  }
  return bytes;
}

function joined(line: Line): Line {
  return lineBytes(line) > joinedBytesMax ? line : [Buffer.concat(line)];
}
